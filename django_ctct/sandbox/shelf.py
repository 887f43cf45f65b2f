"""The ordinary lists of an account: their names, and what is left of the deleted ones.

It exists apart from the account because no rule about contacts is needed here. It locks nothing by itself:
the account does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from django_ctct.sandbox.values import Clock, ContactList, ListDraft, Refusal, Refused


class Shelf:
    """Keep lists by number, oldest first; a name belongs to one list that is not deleted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget every list, and count from one again."""
        self._live: dict[int, ContactList] = {}
        self._gone: dict[int, ContactList] = {}
        self._uuids: dict[str, int] = {}
        self._last = 0

    def all(self) -> list[ContactList]:
        """Return the lists that are not deleted."""
        return list(self._live.values())

    def gone(self) -> list[ContactList]:
        """Return the deleted lists."""
        return list(self._gone.values())

    def known(self, numbers: frozenset[int]) -> frozenset[int]:
        """Return those of the numbers that are lists."""
        return numbers & self._live.keys()

    def get(self, number: int) -> ContactList:
        """Return one list, or refuse."""
        if number not in self._live:
            raise Refused(Refusal.UNKNOWN_LIST)
        return self._live[number]

    def of_uuid(self, uuid: str) -> ContactList | None:
        """Return the list of a uuid, deleted ones too."""
        number = self._uuids.get(uuid, 0)
        return self._live.get(number) or self._gone.get(number)

    def named(self, name: str) -> ContactList | None:
        """Return the list of that very name."""
        return next((each for each in self._live.values() if each.name == name), None)

    def create(self, draft: ListDraft) -> ContactList:
        """Add a list, or refuse a name that is taken."""
        self._refuse_taken(draft.name)
        self._last += 1
        now = self._clock.now()
        return self._keep(ContactList(self._last, str(uuid4()), draft.name, now, created=now), draft)

    def update(self, number: int, draft: ListDraft) -> ContactList:
        """Rewrite a list, or refuse a name that another list has."""
        old = self.get(number)
        if draft.name != old.name:
            self._refuse_taken(draft.name)
        return self._keep(old, draft)

    def drop(self, number: int) -> None:
        """Delete a list; its name is free again."""
        now = self._clock.now()
        old = self._live.pop(number)
        self._gone[number] = _with(old, ListDraft(old.name), updated=now, deleted=now)

    def _keep(self, old: ContactList, draft: ListDraft) -> ContactList:
        kept = _with(old, draft, updated=self._clock.now())
        self._live[kept.id] = kept
        self._uuids[kept.uuid] = kept.id
        return kept

    def _refuse_taken(self, name: str) -> None:
        if self.named(name) is not None:
            raise Refused(Refusal.NAME_TAKEN)


def _with(old: ContactList, draft: ListDraft, **times: Any) -> ContactList:
    wanted = {
        "sort_order": draft.sort_order,
        "opt_in_default": draft.opt_in_default,
        "description": draft.description,
        "favorite": draft.favorite,
    }
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    return replace(old, name=draft.name, **given, **times)
