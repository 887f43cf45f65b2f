"""Constant Contact → rows: there are no webhooks for contacts, so what happens there is asked for, again and again.

One turn of an *incremental* pull costs one request on v3, three on v1, where nothing happened. It goes by a
watermark of the server's own clock, with an overlap. A *full* pull walks every contact once, a page at a time; each
page and the place behind it are committed together, so that a pull that is killed goes on where it was. Nothing is
ever written over there. One pull at a time runs for an account, by a lease.

It may import services (for the way to the account), catalogue, sightings, ledger, models, signals and types.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Q

from . import catalogue, signals
from .exceptions import RemoteError, RequestRejected
from .ledger import CATCH_UP
from .models import Account, Contact, ContactList, DatabaseNow, moment_of
from .quota import LONGEST_WAIT
from .services import Link, slow_down, waits_for_move
from .sightings import Taken, end_walk, take_in
from .types import OptOutSource, Page, Priority

__all__ = ["EVERY", "Pulled", "Turn", "begin_walk", "catch_up", "is_walking", "pull", "restored"]

logger = logging.getLogger(__name__)

#: How often an incremental pull is worth its call (seconds): 288 of a day's 10,000 calls on v3.
EVERY = 300.0
#: Each pull asks again for the last two minutes of the one before: a feed may tell of a change late.
OVERLAP = timedelta(minutes=2)
#: Where the server does not say what time it is there, its clock is taken to be within this of ours.
SKEW = timedelta(minutes=10)
#: A pull that is silent this long has lost its lease.
LEASE = timedelta(seconds=120)
#: How often lists are read, and how often opt-outs are asked for by themselves (v3): each takes another's turn.
LISTS_EVERY = timedelta(hours=1)
OPT_OUTS_EVERY = timedelta(minutes=15)
#: The place behind the last page, until the walk has been ended.
_END = "."


class Turn(StrEnum):
    """What one pull asked about."""

    NOTHING = "nothing"  # another pull is at it, or the account may not be asked now
    CHANGES = "changes"
    OPT_OUTS = "opt-outs"
    LISTS = "lists"
    WALK = "walk"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did. ``finished`` is False where there is more to walk; ``error`` is what stopped it.

    ``seen`` are contacts; ``rows`` are all that was told of, on v1 each member of a bound list once more.
    """

    turn: Turn
    pages: int = 0
    rows: int = 0
    seen: int = 0
    again: int = 0
    new: int = 0
    finished: bool = True
    error: RemoteError | None = None

    def after(self, page: Taken) -> Pulled:
        return replace(
            self,
            pages=self.pages + 1,
            rows=self.rows + page.rows,
            seen=self.seen + page.seen,
            again=self.again + page.again,
            new=self.new + page.new,
        )


class PullLost(Exception):
    """Another pull has taken this account over: stop."""


Watch = Callable[[Pulled], None]


def pull(link: Link, *, seconds: float = 50.0, watch: Watch | None = None) -> Pulled:
    """Take one turn: what changed, mostly; now and then the lists, or opt-outs. The first turn walks everything.

    A walk that is under way goes on for the rest of ``seconds``. ``watch`` sees the count after each page. An error
    of the wire ends the pull and is returned; all pages before it are kept.
    """
    return _under_lease(link, lambda run: run.turn(), seconds, watch)


def begin_walk(account: Account) -> bool:
    """Ask for a full pull: the pulls that follow walk through every contact. False where one is under way."""
    idle = Account.objects.filter(Q(walk_begun_at=None) | Q(walk_ended_at__gte=F("walk_begun_at")), pk=account.pk)
    return bool(idle.update(**_begun()))


def restored(account: Account) -> None:
    """Note that this database is a backup that was put back: all that it knows may be older than it says.

    Adds wait until a pull has asked what happened since, and everybody is walked through anew.
    """
    Account.objects.filter(pk=account.pk).update(pulled_at=None, walk_ended_at=None, **_begun())


def _begun() -> dict[str, Any]:
    return {
        "walk": F("walk") + 1,
        "walk_cursor": "",
        "walk_from": None,
        "walk_seen": 0,
        "walk_begun_at": DatabaseNow(),
    }


def is_walking(account: Account) -> bool:
    """Say whether a full pull is under way."""
    begun, ended = account.walk_begun_at, account.walk_ended_at
    return begun is not None and (ended is None or ended < begun)


def catch_up(link: Link, *, seconds: float = 50.0, watch: Watch | None = None) -> Pulled:
    """Pull until what changed was asked for, whoever's turn it is, or ``seconds`` have passed."""
    ends = time.monotonic() + seconds
    while True:
        pulled = pull(link, seconds=ends - time.monotonic(), watch=watch)
        is_another = pulled.turn in (Turn.LISTS, Turn.OPT_OUTS) and pulled.error is None
        if not is_another or time.monotonic() >= ends:
            return pulled


def _under_lease(link: Link, act: Callable[[_Run], Pulled], seconds: float, watch: Watch | None) -> Pulled:
    if waits_for_move(link.account, type(link.backend)):
        return Pulled(Turn.NOTHING)
    # What was asked for here, opt-outs and removals go by: the calls kept for them are for this too.
    link.gate.lane, link.gate.patience = Priority.REMOVAL, LONGEST_WAIT
    link.gate.begun()
    with _lease(link.account) as token:
        if token is None:
            return Pulled(Turn.NOTHING)
        run = _Run(link, token, time.monotonic() + seconds, watch or (lambda _: None))
        try:
            return act(run)
        except PullLost:
            logger.warning("account %s: another pull has taken over", link.account.alias)
            return Pulled(Turn.NOTHING)
        except RemoteError as error:
            logger.warning("account %s: the pull stopped: %s", link.account.alias, error.code)
            slow_down(link, error)
            return replace(run.pulled, finished=False, error=error)


@contextmanager
def _lease(account: Account) -> Iterator[UUID | None]:
    """Hold the account's pull lease; None when another pull has it, or the account rests."""
    token = uuid4()
    free = Q(pull_lease=None) | Q(pull_lease_until__lt=DatabaseNow())
    rested = Q(paused_until=None) | Q(paused_until__lte=DatabaseNow())
    row = Account.objects.filter(free, rested, pk=account.pk)
    if not row.update(pull_lease=token, pull_lease_until=DatabaseNow() + LEASE):
        yield None
        return
    try:
        yield token
    finally:
        Account.objects.filter(pk=account.pk, pull_lease=token).update(pull_lease=None, pull_lease_until=None)


class _Run:
    """One pull under its lease."""

    def __init__(self, link: Link, token: UUID, ends: float, watch: Watch) -> None:
        self.link, self.token, self.ends, self.watch = link, token, ends, watch
        self.pulled = Pulled(Turn.NOTHING)

    def turn(self) -> Pulled:
        account, now = self._account()
        if account.pulled_to is None:
            return self._walk()
        turn = _turn(account, now, asks_for_opt_outs=self.link.backend.asks_for_opt_outs)
        self.pulled = Pulled(turn)
        if turn is Turn.LISTS:
            catalogue.read_lists(self.link)
        elif turn is Turn.OPT_OUTS and account.opt_outs_pulled_to is not None:
            self._ask(self.link.backend.opt_outs(account.opt_outs_pulled_to), "opt_outs_pulled_to", now)
        else:
            self._ask(self.link.backend.changes(account.pulled_to), "pulled_to", now, pulled_at=now)
        if is_walking(account) and time.monotonic() < self.ends:
            walked = self._walk()
            return replace(walked, turn=turn)
        return self.pulled

    def _account(self) -> tuple[Account, datetime]:
        row = Account.objects.afresh(self.link.account.pk)
        return row, moment_of(row)

    def _ask(self, pages: Iterator[Page], mark: str, now: datetime, **done: datetime) -> None:
        """Take in all pages of a feed. The mark moves when the last one is in: till then all is asked for again."""
        first: datetime | None = None
        for page in pages:
            first = first or _mark(page, now)
            with transaction.atomic():
                self._keep()
                self._take(page)
        self._keep(**{mark: first or now - SKEW, "reached_at": now}, **done)

    def _take(self, page: Page, *, walk: int = 0) -> None:
        taken = take_in(self.link.account.pk, page.sightings, walk=walk, answered=page.at)
        self.pulled = self.pulled.after(taken)
        for contact in Contact.objects.filter(pk__in=taken.opted_out) if taken.opted_out else ():
            tell = partial(signals.contact_opted_out.send_robust, Contact, contact=contact, source=OptOutSource.REMOTE)
            transaction.on_commit(tell, robust=True)
        transaction.on_commit(lambda: self.watch(self.pulled))

    def _keep(self, **changes: object) -> None:
        """Renew the lease, and write what belongs to it."""
        row = Account.objects.filter(pk=self.link.account.pk, pull_lease=self.token)
        if not row.update(pull_lease_until=DatabaseNow() + LEASE, **changes):
            raise PullLost

    # The walk

    def _walk(self) -> Pulled:
        self.link.gate.lane = Priority.RESYNC  # as many calls as there are pages: never the last ones of the day
        account, _ = self._account()
        if not is_walking(account):
            begin_walk(account)
            account, _ = self._account()
        self.pulled = replace(self.pulled, turn=Turn.WALK, finished=False)
        if account.walk_cursor != _END and not self._walk_on(account):
            return self.pulled
        self._end_walk()
        return replace(self.pulled, finished=True)

    def _walk_on(self, account: Account) -> bool:
        """Walk until the last page, or until the time is over. Return whether it was the last."""
        try:
            return self._pages(account, account.walk_cursor)
        except RequestRejected as error:
            if error.code != "cursor" or not account.walk_cursor:
                raise
            logger.info("account %s: the place in the walk is not known any more, it begins anew", account.alias)
            self._keep(walk_cursor="", walk_seen=0)
            return self._pages(account, "")

    def _pages(self, account: Account, cursor: str) -> bool:
        for page in self.link.backend.walk(_bound(account), cursor):
            with transaction.atomic():
                account, now = self._account()
                seen = account.walk_seen + sum(not one.on_list for one in page.sightings)
                since = account.walk_from or _mark(page, now)
                self._keep(walk_cursor=page.cursor or _END, walk_seen=seen, walk_from=since)
                self._take(page, walk=account.walk)
            if page.cursor and time.monotonic() >= self.ends:
                return False
        return True

    def _end_walk(self) -> None:
        account, now = self._account()
        begun_at = account.walk_begun_at or now
        with transaction.atomic():
            by_list = self.link.backend.walks_lists
            again = end_walk(account.pk, account.walk, begun_at, by_list=by_list)
            self._keep(walk_ended_at=DatabaseNow(), walk_cursor="", **_first_marks(account, begun_at, now))
        self.pulled = replace(self.pulled, again=self.pulled.again + again)
        logger.info("account %s: all contacts read, %s are looked at again", account.alias, self.pulled.again)


def _turn(account: Account, now: datetime, *, asks_for_opt_outs: bool) -> Turn:
    """Say whose turn it is. What changed comes first wherever adds would have to wait for it."""
    if account.pulled_at is None or now - account.pulled_at > CATCH_UP / 2:
        return Turn.CHANGES
    if account.lists_read_at is None or now - account.lists_read_at > LISTS_EVERY:
        return Turn.LISTS
    last = account.opt_outs_pulled_to
    if asks_for_opt_outs and last is not None and now - last > OPT_OUTS_EVERY + OVERLAP:
        return Turn.OPT_OUTS
    return Turn.CHANGES


def _first_marks(account: Account, begun_at: datetime, now: datetime) -> dict[str, object]:
    """Return what the first walk sets going: the watermarks; and where nobody was there, approval is not needed."""
    if account.pulled_to is not None:
        return {}
    since = account.walk_from or now - SKEW
    marks: dict[str, object] = {"pulled_to": since, "opt_outs_pulled_to": since, "pulled_at": begun_at}
    if account.approved_at is None and account.walk_seen == 0:
        marks["approved_at"] = DatabaseNow()
    return marks


def _mark(page: Page, now: datetime) -> datetime:
    """Return from when on the next pull asks: by the server's clock, where it tells what time it is."""
    return page.at - OVERLAP if page.at is not None else now - SKEW


def _bound(account: Account) -> list[str]:
    bound = ContactList.objects.filter(account=account, key__isnull=False, missing_since=None)
    return list(bound.values_list("remote_id", flat=True))
