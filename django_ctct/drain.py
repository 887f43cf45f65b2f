"""Reconcile all that is due in one account, the most urgent first, within a time budget.

The same code runs in a Celery worker and under ``manage.py ctct_drain``; any number of drains may run side by
side. Where the account's news is old (a first start, a restored backup, a site without beat) it is read first.
It may import pull, services, ledger, outbox, models and exceptions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import outbox
from .exceptions import AuthenticationFailed, CopyDetected, QuotaExhausted, RateLimited
from .ledger import is_behind
from .models import Account, DatabaseNow
from .pull import catch_up
from .services import Link, Result, connect, reconcile, waits_for_move
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
    try:
        with connect(alias) as link:
            if link.tokens is not None:
                link.tokens.keep_alive()
            if waits_for_move(link.account, type(link.backend)):
                outcome.paused = "its lists have ids of another API: run ctct_move"
                return outcome
            upto = _allowed(link, deadline, outcome)
            for result in _results(link, deadline, outcome, upto):
                outcome.done += result.plan is not None
                outcome.failed += result.error is not None
                if watch is not None:
                    watch(result)
    except CopyDetected:
        outcome.paused = "this database looks like a copy of the live one"
    return outcome


def _allowed(link: Link, deadline: float, outcome: Drained) -> Priority:
    """Read the account's news where it is old, and say how far down the queue may be worked off now."""
    account, goes_on = Account.objects.afresh(link.account.pk), False
    if is_behind(account):
        pulled = catch_up(link, seconds=max(0.0, deadline - time.monotonic()))
        goes_on = not pulled.finished and pulled.error is None  # more to walk: the next drain does it
        account = Account.objects.afresh(link.account.pk)
    if account.approved_at is None:
        outcome.paused = "" if goes_on else "nothing is sent before the plan is approved"
        return Priority.OPT_OUT
    if is_behind(account):
        outcome.paused = "" if goes_on else "the account's news could not be read, so nobody is added"
        return Priority.REMOVAL
    return Priority.RESYNC


def _results(link: Link, deadline: float, outcome: Drained, upto: Priority) -> Iterator[Result]:
    """Yield the result of each due contact. When the day's calls run low, only urgent ones go on."""
    while time.monotonic() < deadline:
        if pause := _pause(link):
            outcome.paused = pause
            return
        batch = outbox.due(link.account.pk, limit=BATCH, upto=upto)
        error = None
        for result in _batch(link, batch, deadline):
            yield result
            error = result.error
        spent = isinstance(error, QuotaExhausted)
        if spent:
            outcome.paused = "the calls of this day are used up"
        if not batch or (spent and upto <= Priority.REMOVAL):
            return
        upto = Priority.REMOVAL if spent else upto
        if isinstance(error, RateLimited) and error.code == "busy":
            time.sleep(min(BUSY_REST, max(0.0, deadline - time.monotonic())))


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
