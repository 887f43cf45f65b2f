"""The Celery tasks. A message carries an account's alias and nothing else; the rows say what is to be done.

Losing, doubling, delaying or reordering messages changes latency only, so no task retries, acknowledges late
or waits: durability is the row's. Only this room imports Celery, and it creates no Celery app.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from celery import current_app, shared_task

from . import adapters, conf, privacy
from . import pull as pulling
from .drain import drain as drain_account
from .exceptions import ConfigurationError, CopyDetected
from .kick import Kicker
from .mirror import mirror_all as mirror_members
from .models import Account
from .services import connect

__all__ = ["broker_settings", "drain", "kick", "mirror_all", "pull", "pull_all", "sweep", "tidy"]

logger = logging.getLogger(__name__)

_OPTIONS: dict[str, Any] = {
    "ignore_result": True,
    "acks_late": False,
    "reject_on_worker_lost": False,
    "max_retries": 0,
    "time_limit": 110,
    "soft_time_limit": 90,
    "serializer": "json",
}


@shared_task(name="django_ctct.drain", **_OPTIONS)
def drain(alias: str) -> None:
    """Reconcile what is due in one account."""
    drain_account(alias)


@shared_task(name="django_ctct.sweep", **_OPTIONS)
def sweep() -> None:
    """Reconcile what is due in every account: lost hints, ended leases, waits that are over."""
    _in_each_account(lambda alias, seconds: drain_account(alias, seconds=seconds))


@shared_task(name="django_ctct.pull", **_OPTIONS)
def pull() -> None:
    """Ask what has changed at Constant Contact; go on with a full pull that is under way."""
    _in_each_account(_pull)


@shared_task(name="django_ctct.pull_all", **_OPTIONS)
def pull_all() -> None:
    """Begin a full pull of every account; the pulls that follow walk it to its end."""
    for alias in conf.read().accounts:
        pulling.begin_walk(Account.objects.for_alias(alias))


def _pull(alias: str, seconds: float) -> None:
    try:
        with connect(alias) as link:
            pulled = pulling.pull(link, seconds=seconds)
    except CopyDetected:
        logger.warning("account %s: this database looks like a copy of the live one", alias)
        return
    if pulled.again:
        kick(alias)


def _in_each_account(act: Callable[[str, float], object]) -> None:
    """Share the time of one task among the accounts. A broken one does not keep the others from going on."""
    broken: list[ConfigurationError] = []
    for alias in conf.read().accounts:
        try:
            act(alias, 50.0 / len(conf.read().accounts))
        except ConfigurationError as error:  # a key that is gone, say
            logger.error("account %s: %s", alias, error)
            broken.append(error)
    if broken:
        raise broken[0]


@shared_task(name="django_ctct.mirror_all", **{**_OPTIONS, "time_limit": 3600, "soft_time_limit": 3500})
def mirror_all() -> None:
    """Find the wishes that changed without a signal."""
    for adapter in adapters.all_adapters():
        changed = failed = 0
        for one in mirror_members(adapter):
            changed, failed = changed + bool(one), failed + bool(one.error)
        logger.info("mirror_all %s: %s changed, %s failed", adapter.model._meta.label, changed, failed)


@shared_task(name="django_ctct.tidy", **{**_OPTIONS, "time_limit": 3600, "soft_time_limit": 3500})
def tidy() -> None:
    """Delete what is kept no longer: old writes that nothing rests on."""
    logger.info("tidy: %s old writes deleted", privacy.purge())


def broker_settings() -> Mapping[str, Any]:
    """Return the settings of the site's Celery app that the checks judge, as plain values."""
    settings = current_app.conf
    return {
        "broker": str(settings.broker_url or settings.broker_write_url or ""),
        "transport_options": dict(settings.broker_transport_options or {}),
        "always_eager": bool(settings.task_always_eager),
        "publish_retry": bool(settings.task_publish_retry),
        "connection_timeout": settings.broker_connection_timeout,
        "prefetch": settings.worker_prefetch_multiplier,
        "scheduled": [entry.get("task") for entry in dict(settings.beat_schedule or {}).values()],
    }


def kick(alias: str) -> None:
    """Hint that something is due in an account, as ``CTCT["KICK"]`` says. Raises nothing."""
    way = conf.read().kick
    if way == "thread":
        _kicker.kick(alias)
    elif way == "inline":
        _kicker.publish(alias)


def _publish(alias: str) -> None:
    drain.apply_async(args=[alias], queue=conf.read().queue, expires=300)


_kicker = Kicker(_publish)
