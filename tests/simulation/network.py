"""The network between a worker and the account: every call may fail in each way that the protocol allows.

The account behind it is the sandbox's, reached through one of the shipped backends (``wires``); only fates, and
the invariants that are checked at each call, are added here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django_ctct.backends.base import BaseBackend
from django_ctct.exceptions import (
    AmbiguousWrite,
    MalformedResponse,
    RateLimited,
    RemoteConflict,
    RemoteError,
    RemoteUnavailable,
)
from django_ctct.types import Page, Permit, RemoteContact

if TYPE_CHECKING:
    from .world import World

__all__ = ["Weather"]

READS = ("refused", "unavailable", "truncated", "too_many", "redirect")
WRITES = ("refused", "unavailable", "too_many", "redirect", "reset_before", *["reset_after"] * 2, *["late"] * 3)


class Weather(BaseBackend):
    """A backend in simulated weather, to be mixed into a real one. ``world`` is the run at hand."""

    world: ClassVar[World]

    def find(self, email: str) -> RemoteContact | None:
        return self._ask(email, lambda: super(Weather, self).find(email))

    def get(self, remote_id: str) -> RemoteContact | None:
        return self._ask("", lambda: super(Weather, self).get(remote_id))

    def create(self, permit: Permit) -> RemoteContact:
        return self._send(None, permit, lambda: super(Weather, self).create(permit))

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        self._send(existing, permit, lambda: super(Weather, self).update(existing, permit))

    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        self._send(existing, permit, lambda: super(Weather, self).opt_out(existing, permit))

    def changes(self, since: datetime) -> Iterator[Page]:
        return self._in_weather(super().changes(since), heard=self.world.hears())

    def opt_outs(self, since: datetime) -> Iterator[Page]:
        return self._in_weather(super().opt_outs(since))

    def walk(self, lists: Sequence[str], cursor: str = "") -> Iterator[Page]:
        heard = self.world.walks(anew=not cursor)
        for page in self._in_weather(super().walk(lists, cursor)):
            if not page.cursor:
                heard()
            yield page

    def _in_weather(self, feed: Iterable[Page], heard: Callable[[], None] | None = None) -> Iterator[Page]:
        """Let each page of a feed be asked for in the weather. A worker is paused and killed between pages too.

        ``heard`` is told when there are no more.
        """
        pages = iter(feed)
        while True:
            self.world.scheduler.step("before a page")
            self._fail_read(self.world.scheduler.rates.feed_fault)
            self.world.count("pages")
            page = next(pages, None)
            if page is None:
                if heard is not None:
                    heard()
                return
            self.world.scheduler.step("after a page")
            yield page

    def _ask(self, email: str, read: Callable[[], RemoteContact | None]) -> RemoteContact | None:
        world = self.world
        world.scheduler.step("before a read")
        self._fail_read(world.scheduler.rates.fault)
        world.count("reads")
        found = read()
        world.saw(found.email if found else email, found)
        world.scheduler.step("after a read")
        return found

    def _fail_read(self, rate: float) -> None:
        fate = self._fate(READS, rate)
        if fate in ("refused", "unavailable", "truncated"):
            raise RemoteUnavailable("not now", code=fate)
        self._fail(fate)

    def _send(self, existing: RemoteContact | None, permit: Permit, write: Callable[[], Any]) -> Any:
        world = self.world
        world.scheduler.step("before a write")
        if world.is_late(permit):  # as the gate sees it, just before the request
            raise RemoteConflict("the process slept", code="stale")
        fate = self._fate(WRITES, world.scheduler.rates.fault)
        if fate == "refused":
            raise RemoteUnavailable("not reached", code=fate)
        world.check_write(existing, permit)
        letter = world.letter(existing, permit)
        self._fail(fate)
        if fate in ("reset_before", "unavailable"):
            raise AmbiguousWrite("no answer", code=fate)
        if fate == "late":
            world.send_late(letter, write)
            raise AmbiguousWrite("no answer", code=fate)
        answer = world.apply(letter, write)
        world.scheduler.step("after a write")
        if fate == "reset_after":
            world.gets_no_answer(permit)
            raise AmbiguousWrite("no answer", code=fate)
        return answer

    def _fail(self, fate: str) -> None:
        if fate == "too_many":
            raise RateLimited("too many", retry_after=1 + self.world.scheduler.random.random() * 4)
        if fate == "redirect":
            raise MalformedResponse("a redirect", code=fate)

    def _fate(self, fates: tuple[str, ...], rate: float) -> str:
        scheduler = self.world.scheduler
        scheduler.seconds += 0.02 + scheduler.random.random() * 0.2
        possible = [one for one in fates if one in scheduler.rates.fates]
        if scheduler.calm or not possible or scheduler.random.random() >= rate:
            return ""
        fate = scheduler.random.choice(possible)
        scheduler.log(f"fate {fate}")
        self.world.count(f"fate {fate}")
        return fate


def quietly(write: Callable[[], Any]) -> Any:
    """Apply a write whose answer nobody waits for."""
    try:
        return write()
    except RemoteError:
        return None
