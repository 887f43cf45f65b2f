from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_ctct", "0003_consent_state")]

    operations = [
        migrations.AddField(
            model_name="contact",
            name="opted_out_seen_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="opt-out first seen"),
        ),
        migrations.AddField(
            model_name="listoptout",
            name="seen_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="first seen"),
        ),
    ]
