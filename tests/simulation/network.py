"""The network between a worker and the account: every call may fail in each way that the protocol allows.

The account behind it is the sandbox's, reached through the shipped in-memory backend; only fates, and the
invariants that are checked at each call, are added here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django_ctct.backends.memory import MemoryBackend
from django_ctct.exceptions import AmbiguousWrite, MalformedResponse, RateLimited, RemoteError, RemoteUnavailable
from django_ctct.types import Permit, RemoteContact

if TYPE_CHECKING:
    from .world import World

__all__ = ["SimulatedBackend"]

READS = ("refused", "unavailable", "truncated", "too_many", "redirect")
WRITES = ("refused", "reset_before", "reset_after", "late", "late", "late", "unavailable", "too_many", "redirect")


class SimulatedBackend(MemoryBackend):
    """The in-memory backend in simulated weather. ``world`` is the run at hand."""

    world: ClassVar[World]

    def __init__(self, options: Mapping[str, Any], *, gate: Any = None) -> None:
        super().__init__({"account": self.world.account})
        self._seen: dict[str, RemoteContact | None] = {}

    def find(self, email: str) -> RemoteContact | None:
        return self._read(email, lambda: super(SimulatedBackend, self).find(email))

    def get(self, remote_id: str) -> RemoteContact | None:
        return self._read("", lambda: super(SimulatedBackend, self).get(remote_id))

    def create(self, permit: Permit) -> RemoteContact:
        return self._write(None, permit, lambda: super(SimulatedBackend, self).create(permit))

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        self._write(existing, permit, lambda: super(SimulatedBackend, self).update(existing, permit))

    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        self._write(existing, permit, lambda: super(SimulatedBackend, self).opt_out(existing, permit))

    def _read(self, email: str, read: Callable[[], RemoteContact | None]) -> RemoteContact | None:
        world = self.world
        world.scheduler.step("before a read")
        self._fail_read()
        world.count("reads")
        found = read()
        world.saw(found.email if found else email, found)
        world.scheduler.step("after a read")
        return found

    def _fail_read(self) -> None:
        fate = self._fate(READS)
        if fate in ("refused", "unavailable", "truncated"):
            raise RemoteUnavailable("not now", code=fate)
        self._fail(fate)

    def _write(self, existing: RemoteContact | None, permit: Permit, write: Callable[[], Any]) -> Any:
        world = self.world
        world.scheduler.step("before a write")
        fate = self._fate(WRITES)
        if fate == "refused":
            raise RemoteUnavailable("not reached", code=fate)
        world.check_write(existing, permit)
        self._fail(fate)
        if fate in ("reset_before", "unavailable"):
            raise AmbiguousWrite("no answer", code=fate)
        if fate == "late":
            delay = world.scheduler.random.random() * 100
            world.scheduler.after(delay, lambda: world.land(permit, write))
            raise AmbiguousWrite("no answer", code=fate)
        answer = world.apply(permit, write)
        world.scheduler.step("after a write")
        if fate == "reset_after":
            world.unanswered.add(permit.email)
            raise AmbiguousWrite("no answer", code=fate)
        return answer

    def _fail(self, fate: str) -> None:
        if fate == "too_many":
            raise RateLimited("too many", retry_after=1 + self.world.scheduler.random.random() * 4)
        if fate == "redirect":
            raise MalformedResponse("a redirect", code=fate)

    def _fate(self, fates: tuple[str, ...]) -> str:
        scheduler = self.world.scheduler
        scheduler.seconds += 0.02 + scheduler.random.random() * 0.2
        if scheduler.calm or scheduler.random.random() >= scheduler.rates.fault:
            return ""
        fate = scheduler.random.choice(fates)
        scheduler.log(f"fate {fate}")
        self.world.count(f"fate {fate}")
        return fate


def quietly(write: Callable[[], Any]) -> Any:
    """Apply a write whose answer nobody waits for."""
    try:
        return write()
    except RemoteError:
        return None
