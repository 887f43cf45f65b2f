from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_save


class SiteConfig(AppConfig):
    name = "tests.site"
    label = "site"

    def ready(self) -> None:
        post_save.connect(begin_ready, sender="django_ctct.Account", dispatch_uid="tests.begin_ready")


def begin_ready(sender: Any, instance: Any, created: bool, **_: Any) -> None:
    """Begin with an account whose plan was approved and whose news was read: most tests are about what follows."""
    from django_ctct.models import DatabaseNow

    if created:
        sender.objects.filter(pk=instance.pk).update(approved_at=DatabaseNow(), pulled_at=DatabaseNow())
