"""Addresses of the pages, and what a contact's row says that no look may change."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.urls import reverse


def url(name: str, *args: object) -> str:
    return reverse(f"admin:django_ctct_{name}", args=args)


def snapshot() -> dict[str, Any]:
    """Return every row of the app and of the admin's log, to compare before and after."""
    models = [*apps.get_app_config("django_ctct").get_models(), LogEntry]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}
