"""Reconcile all that is due in one account, the most urgent first, within a time budget.

The same code runs in a Celery worker and under ``manage.py ctct_drain``; any number of drains may run side by
side. It may import services, outbox, models and exceptions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import outbox
from .exceptions import AuthenticationFailed, QuotaExhausted, RateLimited
from .models import Account, DatabaseNow
from .services import Link, Result, connect, reconcile
from .types import Priority

__all__ = ["Drained", "drain"]

#: Contacts picked at once. Few, so that an opt-out that comes meanwhile is soon seen.
BATCH = 20
#: How long a drain rests when too many others wait for the account's next call (seconds).
BUSY_REST = 1.0


_NOT_ITS_FAULT = (QuotaExhausted, RateLimited, AuthenticationFailed)


@dataclass(slots=True)
class Drained:
    """What a drain did. ``paused`` says why it stopped although more is due."""

    done: int = 0
    failed: int = 0
    paused: str = ""


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
        if pause := _pause(link):
            outcome.paused = pause
            return
        batch = outbox.due(link.account.pk, limit=BATCH, upto=upto)
        spent = busy = False
        for result in _batch(link, batch, deadline):
            yield result
            spent = isinstance(result.error, QuotaExhausted)
        if spent:
            outcome.paused = "the calls of this day are used up"
            busy = getattr(result.error, "code", "") == "busy"
        if busy:
            time.sleep(min(BUSY_REST, max(0.0, deadline - time.monotonic())))
        if not batch or (spent and upto <= Priority.REMOVAL):
            return
        upto = Priority.REMOVAL if spent else upto


def _batch(link: Link, contact_ids: list[int], deadline: float) -> Iterator[Result]:
    """Yield results up to the first error that concerns more than the contact at hand."""
    for contact_id in contact_ids:
        result = reconcile(link, contact_id)
        yield result
        if isinstance(result.error, _NOT_ITS_FAULT) or time.monotonic() >= deadline:
            return


def _pause(link: Link) -> str:
    paused = Account.objects.filter(pk=link.account.pk, paused_until__gt=DatabaseNow())
    return paused.values_list("pause_reason", flat=True).first() or ""
