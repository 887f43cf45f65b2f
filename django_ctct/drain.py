"""Reconcile all that is due in one account, the most urgent first, within a time budget.

The same code runs in a Celery worker and under ``manage.py ctct_drain``; any number of drains may run side by
side. It may import services, outbox, models and exceptions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import outbox
from .exceptions import AuthenticationFailed, QuotaExhausted, RateLimited
from .models import Account, DatabaseNow
from .services import Link, Result, connect, reconcile
from .types import Priority

__all__ = ["Drained", "drain"]

#: Contacts picked at once. Few, so that an opt-out that comes meanwhile is soon seen.
BATCH = 20


@dataclass(slots=True)
class Drained:
    """What a drain did. ``paused`` says why it stopped although more is due."""

    done: int = 0
    failed: int = 0
    paused: str = ""
    results: list[Result] = field(default_factory=list, repr=False)


def drain(alias: str, *, seconds: float = 50.0, watch: Callable[[Result], None] | None = None) -> Drained:
    """Reconcile due contacts until none is left or ``seconds`` have passed. ``watch`` sees each result."""
    deadline = time.monotonic() + seconds
    outcome = Drained()
    with connect(alias) as link:
        for result in _results(link, deadline, outcome):
            outcome.done += result.plan is not None
            outcome.failed += result.error is not None
            if watch is not None:
                watch(result)
    return outcome


def _results(link: Link, deadline: float, outcome: Drained) -> Iterator[Result]:
    """Yield the result of each due contact. When the day's calls run low, only urgent ones go on."""
    upto = Priority.RESYNC
    while time.monotonic() < deadline:
        outcome.paused = _pause(link)
        batch = [] if outcome.paused else outbox.due(link.account.pk, limit=BATCH, upto=upto)
        if not batch:
            return
        for contact_id in batch:
            result = reconcile(link, contact_id)
            yield result
            if isinstance(result.error, QuotaExhausted):
                if upto <= Priority.REMOVAL:
                    outcome.paused = "the calls of this day are used up"
                    return
                upto = Priority.REMOVAL
                break
            if isinstance(result.error, (RateLimited, AuthenticationFailed)) or time.monotonic() >= deadline:
                break


def _pause(link: Link) -> str:
    paused = Account.objects.filter(pk=link.account.pk, paused_until__gt=DatabaseNow())
    return paused.values_list("pause_reason", flat=True).first() or ""
