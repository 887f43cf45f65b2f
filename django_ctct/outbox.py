"""The contact's row as a queue: mark, due, claim, done, fail, each a single statement.

Every claim is a compare-and-swap UPDATE, because SQLite has no row locks and no lock may be held across
HTTP. All times are the database's. A Celery message is only a hint that something here is due. Assignments
stand in an order that is right on MySQL and MariaDB too, where each sees the ones before it.
It may import models, signals and types only.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Case, F, Min, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Greatest, Least

from . import signals
from .models import Contact, DatabaseNow, Hold, moment_of
from .types import Priority

__all__ = [
    "LEASE",
    "SLOW_LANE",
    "VERIFY_AFTER",
    "Claim",
    "Failure",
    "claim",
    "done",
    "due",
    "fail",
    "holds",
    "look_again",
    "mark",
    "next_due",
    "release",
    "wake",
]

#: A worker that is silent this long has lost its claim.
LEASE = timedelta(seconds=120)
#: How long after an unknown outcome the contact is read once more: longer than a write can be on its way.
VERIFY_AFTER = timedelta(seconds=150)
#: Failed tries wait a random time up to this, doubled with each try, and never less than the shortest.
BACKOFF = timedelta(seconds=5)
SHORTEST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(hours=1)
#: From this many tries on, once a day is enough; it is never given up.
SLOW_LANE = 10
SLOW_LANE_DELAY = timedelta(days=1)

#: Holds that a new wish lifts. Others wait for what they name.
_LIFTED_BY_A_WISH = (Hold.INVALID, Hold.REJECTED, Hold.UNBOUND)

_NOW = DatabaseNow()
_ONE_LESS = Greatest(F("attempts"), 1) - 1


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to work on one contact, for ``LEASE``. ``gen`` is the wish that it read."""

    contact_id: int
    token: UUID
    gen: int
    at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong and what follows. ``code`` and ``text`` hold nothing personal.

    ``delay`` None means backoff by the number of tries; ``counts`` False gives the try back (nothing was wrong
    with this contact); ``ambiguous`` asks for a verify pass; ``hold`` stops further tries.
    """

    code: str
    text: str
    delay: timedelta | None = None
    counts: bool = True
    ambiguous: bool = False
    hold: str = Hold.NONE


def mark(contact_ids: Iterable[int], priority: Priority) -> int:
    """Give contacts a new wish number and make them due now. Return how many there were."""
    return Contact.objects.filter(pk__in=list(contact_ids)).update(
        wished_at=Case(When(desired_gen=F("applied_gen"), then=_NOW), default=F("wished_at")),
        priority=Least(F("priority"), priority.value),
        due_at=Least(Coalesce(F("due_at"), _NOW), _NOW),
        hold=Case(When(hold__in=_LIFTED_BY_A_WISH, then=Value("")), default=F("hold")),
        # A new wish has its own tries; one that a worker is at keeps the count of that try.
        attempts=Case(When(lease_token__isnull=False, then=F("attempts")), default=0),
        desired_gen=F("desired_gen") + 1,
    )


def wake(alias: str) -> None:
    """Once this is committed, say that an account has work. Nobody needs to hear it: the sweep comes."""
    transaction.on_commit(partial(signals.work_due.send_robust, Contact, alias=alias), robust=True)


def due(account_id: int, *, limit: int, upto: Priority = Priority.RESYNC) -> list[int]:
    """Return the ids of due contacts, the most urgent first. ``upto`` leaves less urgent ones out."""
    found = (
        _claimable()
        .filter(account_id=account_id, priority__lte=upto.value)
        .order_by("priority", "due_at")
        .values_list("pk", flat=True)
    )
    return list(found[:limit])


def next_due(account_id: int) -> datetime | None:
    """Return when the account next has something to do; None when nothing is under way."""
    waiting = Contact.objects.filter(account_id=account_id, due_at__isnull=False, hold="")
    free = Greatest(F("due_at"), Coalesce(F("lease_until"), F("due_at")))
    soonest: datetime | None = waiting.aggregate(moment=Min(free))["moment"]
    return soonest


def claim(contact_id: int) -> Claim | None:
    """Take a due contact for ``LEASE``; None when it is not due or another worker has it.

    Taking over from a worker that went silent asks for a verify pass: its last write may still be on its way.
    """
    token = uuid4()
    stolen = Q(lease_token__isnull=False)
    taken = (
        _claimable()
        .filter(pk=contact_id)
        .update(
            # First, while lease_token is still the old one.
            verify_at=Case(
                When(
                    stolen,
                    then=Greatest(Coalesce(F("verify_at"), F("lease_until")), F("lease_until") + VERIFY_AFTER),
                ),
                default=F("verify_at"),
            ),
            lease_token=token,
            lease_until=_NOW + LEASE,
            attempts=F("attempts") + 1,
        )
    )
    return _read_claim(contact_id, token) if taken else None


def done(claim: Claim, *, refusal: str = "") -> bool:
    """Record that the wish ``claim.gen`` is confirmed. A newer wish stays due.

    Return False when the claim was lost meanwhile: then another worker's word counts, and the contact is made
    due again, because our write may have overtaken its own.
    """
    ended = _held_by(claim).update(
        due_at=Case(
            When(desired_gen__gt=claim.gen, then=_NOW),
            When(verify_at__gt=claim.at, then=F("verify_at")),
        ),
        priority=Case(When(desired_gen__gt=claim.gen, then=F("priority")), default=Priority.RESYNC.value),
        verify_at=Case(When(verify_at__gt=claim.at, then=F("verify_at"))),
        lease_token=None,
        lease_until=None,
        attempts=0,
        refusal=refusal,
        error_code="",
        error_text="",
        synced_at=_NOW,
        applied_gen=Greatest(F("applied_gen"), claim.gen),
    )
    if not ended:
        mark([claim.contact_id], Priority.RESYNC)
    return bool(ended)


def fail(claim: Claim, failure: Failure) -> bool:
    """Record a failed try and when the next one is due. Return False when the claim was lost meanwhile."""
    wait = _wait(claim, failure)
    return bool(
        _held_by(claim).update(
            # A wish that came while we worked need not wait for what the old one ran into.
            due_at=Case(When(desired_gen__gt=claim.gen, then=_NOW), default=wait),
            verify_at=_verify_at(failure),
            hold=Case(When(desired_gen__gt=claim.gen, then=Value("")), default=Value(failure.hold)),
            attempts=F("attempts") if failure.counts else _ONE_LESS,
            lease_token=None,
            lease_until=None,
            error_code=failure.code[:40],
            error_text=failure.text[:300],
            error_at=_NOW,
        )
    )


def release(contact_ids: Iterable[int]) -> int:
    """Lift holds and make the contacts due now, without a new wish."""
    return Contact.objects.filter(pk__in=list(contact_ids), desired_gen__gt=0).update(hold="", due_at=_NOW, attempts=0)


def look_again(contact_ids: Iterable[int], priority: Priority = Priority.RESYNC) -> int:
    """Have contacts read soon, because something over there is new: until then nobody says that they are in sync.

    Who is held stays held, and a try that is due earlier, or more urgent, stays so.
    """
    return Contact.objects.filter(pk__in=list(contact_ids), desired_gen__gt=0, hold="").update(
        priority=Least(F("priority"), priority.value),
        due_at=Least(Coalesce(F("due_at"), _NOW), _NOW),
        verify_at=Coalesce(F("verify_at"), _NOW),
    )


def holds(claim: Claim) -> Q:
    """Return the condition under which a claim is still ours, for statements of other rooms."""
    return Q(pk=claim.contact_id, lease_token=claim.token)


def _claimable() -> QuerySet[Contact]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=_NOW)
    return Contact.objects.filter(free, hold="", due_at__lte=_NOW)


def _held_by(claim: Claim) -> QuerySet[Contact]:
    return Contact.objects.filter(holds(claim))


def _read_claim(contact_id: int, token: UUID) -> Claim | None:
    row = Contact.objects.filter(pk=contact_id, lease_token=token).with_moment().first()
    return Claim(contact_id, token, row.desired_gen, moment_of(row), row.attempts) if row else None


def _wait(claim: Claim, failure: Failure) -> Any:
    if failure.hold:
        return None
    delay = failure.delay if failure.delay is not None else _backoff(claim.attempts)
    return _NOW + delay


def _backoff(attempts: int) -> timedelta:
    """Return a wait with full jitter, so that contacts that failed together do not return together."""
    if attempts >= SLOW_LANE:
        return SLOW_LANE_DELAY * (0.5 + random.random() / 2)  # noqa: S311 - spreads load, guards nothing
    longest: timedelta = min(LONGEST_BACKOFF, BACKOFF * 2 ** (attempts - 1))
    return max(longest * random.random(), SHORTEST_BACKOFF)  # noqa: S311 - as above


def _verify_at(failure: Failure) -> Combinable:
    if failure.ambiguous:
        later = _NOW + VERIFY_AFTER
        return Greatest(Coalesce(F("verify_at"), later), later)
    return F("verify_at")
