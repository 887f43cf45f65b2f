"""A backend for the settings, where a test may let something happen around a call, or change what was read.

What meets a worker between two of its steps (a wish, a thief, a deletion, a bug of a wire) cannot be timed from
outside. Here the site names a backend class of its own, as any site may, and nothing of ours is replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import BaseBackend
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.types import Permit, RemoteContact
from tests.account import by_wire


def _nothing(_: Any) -> None:
    return None


def _as_it_is(found: RemoteContact | None) -> RemoteContact | None:
    return found


@dataclass
class Events:
    """What is to happen, by verb. Each act gets what the verb was asked about. ``told`` changes what a read tells."""

    before: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    after: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    told: Callable[[RemoteContact | None], RemoteContact | None] = _as_it_is

    def clear(self) -> None:
        self.before.clear()
        self.after.clear()
        self.told = _as_it_is

    def once(self, act: Callable[[], Any]) -> Callable[[Any], None]:
        """Return an act that happens the first time only."""
        left = [act]
        return lambda _: left.pop()() if left else None


events = Events()


class Eventful(BaseBackend):
    """Do as the wire does that it is mixed into, with the events around it."""

    def find(self, email: str) -> RemoteContact | None:
        return events.told(self._among("find", email, super().find))

    def get(self, remote_id: str) -> RemoteContact | None:
        return events.told(self._among("get", remote_id, super().get))

    def create(self, permit: Permit) -> RemoteContact:
        return self._among("create", permit, super().create)

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        self._among("update", permit, partial(super().update, existing))

    def _among(self, verb: str, asked: Any, call: Callable[[Any], Any]) -> Any:
        events.before.get(verb, _nothing)(asked)
        answer = call(asked)
        events.after.get(verb, _nothing)(asked)
        return answer


class EventfulAtom(Eventful, AtomBackend):
    """v1, with events."""


class EventfulJSON(Eventful, JSONBackend):
    """v3, with events."""


PATH = f"{__name__}.{by_wire('EventfulAtom', 'EventfulJSON')}"
