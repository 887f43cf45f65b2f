"""The app: connects the receivers of the site's adapters and registers the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CtctConfig(AppConfig):
    name = "django_ctct"
    verbose_name = _("Constant Contact")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, receivers

        checks.register()
        receivers.connect()
