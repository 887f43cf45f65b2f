from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_ctct", "0002_past_addresses_and_reasons")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="consent_state",
            field=models.CharField(blank=True, default="", editable=False, max_length=64, serialize=False),
        ),
    ]
