"""Watches the account itself: what our writes do there to lists that are not ours, and to who has opted out.

Nothing here goes by what a worker has read or by what stands in our tables: each contact over there is kept as it
was after each act, whoever's it was, and compared with what the account has now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django_ctct.sandbox import Account
from django_ctct.sandbox.values import Contact, Source
from django_ctct.types import Permit, Verb

__all__ = ["Letter", "Violation", "Watch"]


class Violation(BaseException):
    """An invariant does not hold. Nothing in the package may catch it."""


@dataclass(frozen=True)
class Letter:
    """A write that is sent: what it rests on. ``read`` is the act that the reading it rests on came after."""

    permit: Permit
    read: int
    consent: int | None
    given: Mapping[int, datetime]


class Watch:
    """Keeps what each contact over there was after each act. An act is known by its number."""

    def __init__(self, account: Account) -> None:
        self.account, self.act = account, 0
        self.unmanaged: frozenset[int] = frozenset()
        self._past: dict[int, list[tuple[int, Contact]]] = {}
        self._spent: set[int] = set()

    def note(self) -> None:
        """Take what is there now for right: somebody else has acted."""
        self.act += 1
        for one in self.account.contacts():
            past = self._past.setdefault(one.id, [])
            if not past or past[-1][1] is not one:
                past.append((self.act, one))

    def look(self) -> None:
        """Check that nothing has changed over there but by an act that is known."""
        for one in self.account.contacts():
            past = self._past.get(one.id)
            if not past or past[-1][1] is not one:
                raise Violation(f"{one.address} was changed over there, and nobody has done it")

    def sends(self, letter: Letter, write: Callable[[], Any]) -> Any:
        """Let a write of ours arrive, and check what it has done."""
        self.look()
        before = {one.id: one for one in self.account.contacts()}
        answer = write()
        for one in self.account.contacts():
            if before.get(one.id) is not one:
                self._check_unmanaged(letter, one)
                if one.id in before:
                    self._check_opt_out(letter, before[one.id], one)
        self.note()
        return answer

    def _as_read(self, letter: Letter, contact_id: int) -> Contact | None:
        past = [one for act, one in self._past.get(contact_id, []) if act <= letter.read]
        return past[-1] if past else None

    def _check_unmanaged(self, letter: Letter, after: Contact) -> None:
        """A write leaves the unmanaged lists as they were read: what others do in between, it may undo."""
        if letter.permit.verb is Verb.OPT_OUT:
            return  # an opt-out is of everything
        read = self._as_read(letter, after.id)
        right = self.unmanaged & read.memberships.keys() if read else frozenset()
        if (found := self.unmanaged & after.memberships.keys()) != right:
            raise Violation(f"{after.address}: the unmanaged lists {sorted(right)} have become {sorted(found)}")

    def _check_opt_out(self, letter: Letter, before: Contact, after: Contact) -> None:
        """Only a later consent ends an opt-out that was there to be read, and no consent ends two of them.

        Of one that came between reading and writing nobody could know: v1 refuses then, v3 not always ("What remains").
        """
        if before.opt_out is None or after.opt_out is not None:
            return
        read = self._as_read(letter, before.id)
        lists = after.memberships.keys() - self.unmanaged
        if read is not None and read.opt_out == before.opt_out:
            hers = all(letter.given.get(one, before.opt_out.at) > before.opt_out.at for one in lists)
            if not hers or after.updated_by is not Source.CONTACT:
                raise Violation(f"{after.address}: an opt-out was undone without a later consent")
        if letter.consent is not None and letter.consent in self._spent:
            raise Violation(f"{after.address}: two opt-outs were undone by one consent")
        self._spent |= {letter.consent} if letter.consent is not None else set()
