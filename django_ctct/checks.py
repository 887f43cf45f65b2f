"""System checks: what is wrong is said at start-up, in one sentence, with what to do.

They read settings and adapters; only the checks of the database's guard and of the accounts open a connection,
and Django runs them where it runs such checks: on ``migrate`` and ``check --database``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connections, router
from django.utils.module_loading import import_string

from . import adapters, conf, environment, tasks, tokens
from .backends.base import BaseBackend
from .exceptions import ConfigurationError, CopyDetected
from .models import Account, WriteAttempt

__all__ = ["register"]

#: How the addresses of these brokers begin. ``sentinel`` is Redis behind its watchmen.
_REDIS, _RABBITMQ = ("redis", "sentinel"), ("amqp", "pyamqp")
#: The longest time to connect to a broker that is no block (seconds).
_PATIENCE = 10


def register() -> None:
    """Register the checks with Django."""
    checks.register(check_settings, "django_ctct")
    checks.register(check_broker, "django_ctct")
    checks.register(check_guard, checks.Tags.database)
    checks.register(check_accounts, checks.Tags.database)
    checks.register(check_environment, "django_ctct", deploy=True)
    checks.register(check_prefetch, "django_ctct", deploy=True)


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
        if tokens.uses_consent(entry):
            tokens.oauth_client(entry).close()
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
        if backend.limit_of(field) is None:
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


def check_broker(**_: Any) -> list[checks.CheckMessage]:
    """Warn of Celery settings that block or lose what they carry. Changes arrive anyway, only later."""
    try:
        kick = conf.read().kick
    except ConfigurationError:
        return []
    return [] if kick == "off" else list(_broker(tasks.broker_settings()))


def _broker(found: Mapping[str, Any]) -> Iterator[checks.CheckMessage]:
    options = found["transport_options"]
    if found["always_eager"]:
        yield checks.Warning(
            "task_always_eager is on: tasks run in the process that serves requests, and no worker shares the work.",
            hint="Turn it off, or set CTCT['KICK'] = 'off' and run ctct_drain.",
            id="django_ctct.W010",
        )
    if found["broker"].startswith(_REDIS) and not {"socket_timeout", "socket_connect_timeout"} <= set(options):
        yield checks.Warning(
            "The Redis broker has no socket_timeout and socket_connect_timeout: a server that accepts and says "
            "nothing blocks its clients for ever.",
            hint="Set CELERY_BROKER_TRANSPORT_OPTIONS = {'socket_timeout': 5, 'socket_connect_timeout': 5}.",
            id="django_ctct.W011",
        )
    if found["broker"].startswith(_RABBITMQ) and not options.get("confirm_publish"):
        yield checks.Warning(
            "The RabbitMQ broker does not confirm what is published: messages are lost without a word.",
            hint="Set CELERY_BROKER_TRANSPORT_OPTIONS = {'confirm_publish': True}.",
            id="django_ctct.W012",
        )
    if found["broker"].startswith(_RABBITMQ) and not 0 < (found["connection_timeout"] or 0) <= _PATIENCE:
        yield checks.Warning(
            "The RabbitMQ broker may take its time to connect: what publishes waits as long.",
            hint="Leave CELERY_BROKER_CONNECTION_TIMEOUT at its default, 4 seconds.",
            id="django_ctct.W015",
        )
    if not found["publish_retry"]:
        yield checks.Warning(
            "task_publish_retry is off: that makes a broker that is down slower to fail, not faster.",
            hint="Leave CELERY_TASK_PUBLISH_RETRY at its default.",
            id="django_ctct.W013",
        )
    if "django_ctct.sweep" not in found["scheduled"] and not apps.is_installed("django_celery_beat"):
        yield checks.Warning(
            "Nothing sweeps: a change whose message is lost waits until the next change.",
            hint="Put django_ctct.schedule.BEAT_SCHEDULE into CELERY_BEAT_SCHEDULE, or let cron run ctct_drain "
            "and silence this check.",
            id="django_ctct.W014",
        )


def check_prefetch(**_: Any) -> list[checks.CheckMessage]:
    """Ask for workers that take one message at a time. For deployments: elsewhere nobody waits."""
    try:
        kick = conf.read().kick
    except ConfigurationError:
        return []
    if kick == "off" or tasks.broker_settings()["prefetch"] == 1:
        return []
    return [
        checks.Warning(
            "worker_prefetch_multiplier is not 1: a change can wait behind another task while a worker has nothing "
            "to do.",
            hint="Set CELERY_WORKER_PREFETCH_MULTIPLIER = 1, or start the worker of CTCT['QUEUE'] with "
            "--prefetch-multiplier=1 and silence this check.",
            id="django_ctct.W016",
        )
    ]


def check_environment(**_: Any) -> list[checks.CheckMessage]:
    """Ask for a name of the place, without which some copies of the database cannot be told. For deployments."""
    try:
        named = bool(conf.read().environment)
    except ConfigurationError:
        return []
    if named:
        return []
    return [
        checks.Warning(
            "CTCT['ENVIRONMENT'] is not set: a copy of the database under the same address is taken for the live one.",
            hint="Name the place, like 'production', in the settings of that place alone.",
            id="django_ctct.W020",
        )
    ]


def check_accounts(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Tell of accounts that only a person can put right: a copy of the database, a key that is gone."""
    home = router.db_for_write(Account)
    if home not in (databases or ()) or Account._meta.db_table not in connections[home].introspection.table_names():
        return []
    try:
        rows = [row for row in Account.objects.all() if row.alias in conf.read().accounts]
        return [message for row in rows for message in _account(row)]
    except (ConfigurationError, DatabaseError):
        return []  # check_settings says the one; not migrated yet is the other


def _account(row: Account) -> Iterator[checks.CheckMessage]:
    if environment.is_copy(row):
        yield checks.Warning(str(CopyDetected(row.alias)), id="django_ctct.W021")
    if tokens.unreadable(row):
        yield checks.Warning(
            f"The stored tokens of the account {row.alias!r} cannot be read with any of the site's keys.",
            hint="Put the old key back, behind the newest one in CTCT['SECRET_KEYS'], or connect the account again.",
            id="django_ctct.W022",
        )


def check_guard(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Make sure that the constraints which refuse a forbidden write are in the database."""
    return [message for alias in databases or () for message in _guard(alias)]


def _guard(alias: str) -> Iterator[checks.CheckMessage]:
    table, connection = WriteAttempt._meta.db_table, connections[alias]
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return  # not migrated yet, or not on this database
        there = connection.introspection.get_constraints(cursor, table)
    for constraint in WriteAttempt._meta.constraints:
        if constraint.name not in there:
            yield checks.Error(
                f"The database {alias!r} lacks the constraint {constraint.name}, the last guard of the opt-out.",
                hint="Run migrate; if it says that nothing is to be done, put the constraint back by hand.",
                id="django_ctct.E010",
            )
