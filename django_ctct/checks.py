"""System checks: what is wrong with the settings is said at start-up, in one sentence, with what to do.

They read settings and adapters; they open no connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from . import adapters, conf
from .backends.base import BaseBackend
from .exceptions import ConfigurationError

__all__ = ["register"]


def register() -> None:
    """Register the checks with Django."""
    checks.register(check_settings, "django_ctct")


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Check settings, backends, adapters, the time zone and the installation."""
    return [*_settings(), *_time_zone(), *_installation()]


def _settings() -> Iterator[checks.CheckMessage]:
    try:
        conf.read()
    except ConfigurationError as error:
        yield checks.Error(str(error), id="django_ctct.E001")
        return
    for alias in conf.read().accounts:
        yield from _backend(alias)
    try:
        adapters.all_adapters()
    except ConfigurationError as error:
        yield checks.Error(str(error), id="django_ctct.E003")
        return
    for adapter in adapters.all_adapters():
        yield from _adapter(adapter)
    if not adapters.all_adapters():
        yield checks.Warning(
            "CTCT['ADAPTERS'] is empty: no member is synced.",
            hint="Name your adapter classes there.",
            id="django_ctct.W001",
        )


def _backend(alias: str) -> Iterator[checks.CheckMessage]:
    entry = conf.account(alias)
    try:
        import_string(entry.backend)(entry.options).close()
    except ImportError as error:
        yield checks.Error(f"CTCT['ACCOUNTS'][{alias!r}]['BACKEND'] cannot be imported: {error}", id="django_ctct.E002")
    except ConfigurationError as error:
        yield checks.Error(f"CTCT['ACCOUNTS'][{alias!r}]['OPTIONS']: {error}", id="django_ctct.E002")


def _adapter(adapter: adapters.MemberAdapter) -> Iterator[checks.CheckMessage]:
    try:
        backend: type[BaseBackend] = import_string(conf.account(adapter.account).backend)
    except ImportError:
        return
    name = f"{type(adapter).__module__}.{type(adapter).__qualname__}"
    for field, _rule in adapter.field_rules():
        if field not in backend.fields:
            yield checks.Error(
                f"{name}.fields names {field!r}, which is not a contact field.{conf.nearest(field, backend.fields)}",
                id="django_ctct.E004",
            )


def _time_zone() -> Iterator[checks.CheckMessage]:
    if not settings.USE_TZ:
        yield checks.Error("django_ctct compares times of two systems and needs USE_TZ = True.", id="django_ctct.E005")


def _installation() -> Iterator[checks.CheckMessage]:
    """Warn of the other project that installs a package of the same name."""
    owners = set(metadata.packages_distributions().get("django_ctct", ()))
    if len({owner.lower().replace("_", "-") for owner in owners}) > 1:
        yield checks.Warning(
            f"Several distributions install the package django_ctct: {', '.join(sorted(owners))}.",
            hint="Keep django-ctct-sync and uninstall the other one.",
            id="django_ctct.W002",
        )
