"""From Django's signals to the mirror, and after the commit to the kick.

A receiver never raises into the site's request: what an adapter or our tables run into is logged, and
``mirror_all`` finds the change. It may import adapters, mirror, signals and tasks only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from django.apps import apps
from django.db import connections, models, router, transaction
from django.db.models.signals import post_delete, post_save

from . import adapters, mirror, signals, tasks
from .adapters import MemberAdapter
from .exceptions import ConfigurationError
from .models import Contact

__all__ = ["connect"]

logger = logging.getLogger(__name__)


def connect() -> None:
    """Connect the kick and the receivers of all adapters. Wrong settings are the checks' to report, not an import's."""
    signals.work_due.connect(work_due, dispatch_uid="django_ctct")
    try:
        found = adapters.all_adapters()
    except ConfigurationError:
        return
    for adapter in found:
        for model in _family(adapter.model):
            _on(post_save, model, adapter, partial(member_saved, adapter))
            _on(post_delete, model, adapter, partial(member_deleted, adapter))
        for model, path in adapter.watched():
            _on(post_save, model, adapter, partial(watched_changed, adapter, path))
            _on(post_delete, model, adapter, partial(watched_changed, adapter, path))


def _on(signal: Any, model: type[models.Model], adapter: MemberAdapter, receiver: Callable[..., None]) -> None:
    name = f"django_ctct:{adapter.account}:{adapter.model._meta.label_lower}:{model._meta.label_lower}"
    signal.connect(receiver, sender=model, weak=False, dispatch_uid=name)


def _family(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """Yield the model with its proxies and children: signals name the class that was saved."""
    for one in apps.get_models(include_auto_created=False):
        if issubclass(one, model):
            yield one


def work_due(*, alias: str, **_: Any) -> None:
    """Kick a worker: something was committed."""
    tasks.kick(alias)


def member_saved(adapter: MemberAdapter, *, instance: Any, raw: bool = False, **_: Any) -> None:
    """Mirror a member who was saved. Fixtures (``raw``) are left to ``mirror_all``: their relations may lack."""
    if not raw:
        _guarded(adapter, mirror.mirror, instance)


def member_deleted(adapter: MemberAdapter, *, instance: Any, **_: Any) -> None:
    """Withdraw the wishes of a member who was deleted."""
    _guarded(adapter, mirror.forget, instance)


def watched_changed(adapter: MemberAdapter, path: str, *, instance: Any, raw: bool = False, **_: Any) -> None:
    """Mirror the members whose rules read the object that was saved or deleted."""
    if raw:
        return
    for member in _members(adapter, path, instance):
        _guarded(adapter, mirror.mirror_afresh, member)


def _members(adapter: MemberAdapter, path: str, instance: Any) -> list[Any]:
    try:
        with _savepoint():
            return [one for one in adapters.follow(instance, path) if one.pk is not None]
    except Exception as error:  # noqa: BLE001 - the site's own code, in the site's own request
        _report(adapter, error)
        return []


def _guarded(adapter: MemberAdapter, act: Callable[[MemberAdapter, Any], mirror.Mirrored], member: Any) -> None:
    try:
        with _savepoint():
            act(adapter, member)
    except Exception as error:  # noqa: BLE001 - saving a member raises nothing of ours
        _report(adapter, error)


def _savepoint() -> AbstractContextManager[Any]:
    """Keep an error of ours from spoiling the site's transaction; outside of one there is nothing to spoil."""
    inside = connections[router.db_for_write(Contact)].in_atomic_block
    return transaction.atomic() if inside else nullcontext()


def _report(adapter: MemberAdapter, error: Exception) -> None:
    """Log where it happened and what kind of error it was; its text may hold an address."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    logger.error(
        "%s: a change was not mirrored (%s at %s); mirror_all will find it",
        adapter.model._meta.label,
        type(error).__name__,
        where,
    )
