"""What a step of the story works with: it tells, waits within bounds, reads back, and compares.

A step that does not come out as told ends in ``StepFailed``, which says what was expected and what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django_ctct.models import Contact, SyncState

from .cast import Person
from .constant_contact import Asked, Holding, Reader
from .terminal import Screen

__all__ = ["Stage", "StepFailed"]


class StepFailed(Exception):
    """A step did not come out as told."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"expected {expected}; found {actual}")
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True)
class Stage:
    """The site on one side, Constant Contact on the other, and the reader in front. ``patience`` in seconds.

    ``settle`` binds the lists, lets the first members join and starts the worker; ``password`` is the office's.
    """

    screen: Screen
    there: Reader
    patience: float
    site_url: str
    password: str = field(repr=False)
    settle: Callable[[], None]
    logged: Callable[[], str]
    start_worker: Callable[[], None]
    kill_worker: Callable[[], None]
    worker_is_alive: Callable[[], bool]

    def tell(self, text: str) -> None:
        self.screen.tell(text)

    def expect_there(self, person: Person, status: str, lists: Iterable[str], *, by: str = "the worker") -> Holding:
        """Wait until Constant Contact holds her like this; then read it back over the wire, and show it."""
        wanted = frozenset(lists)

        def arrived() -> bool:
            found = self.there.holding(person.email)
            return found is not None and (found.status, found.lists) == (status, wanted)

        came = self.screen.wait_until(arrived, by, self.patience)
        found = self.show(person)
        if not came or found is None:
            expected = f"{status}, on {', '.join(sorted(wanted)) or 'no list'}"
            raise StepFailed(expected, str(found or "no such contact"))
        self.expect_state(person, SyncState.IN_SYNC, SyncState.REFUSED)
        return found

    def show(self, person: Person) -> Holding | None:
        """Read her lists back over the wire and show them."""
        found = self.there.holding(person.email)
        if found is not None:
            read = self.there.read_back(found)
            self.screen.note(f"GET {read.path} says: {read.status}".rstrip())
            self.screen.quote(read.document)
        return found

    def expect_state(self, person: Person, *wanted: SyncState) -> Contact:
        """Wait until the site's own tables say so too: the worker writes them after the answer has come."""
        rows = Contact.objects.with_state().filter(email=person.email)

        def agrees() -> bool:
            row = rows.first()
            return row is not None and row.state in wanted

        if not self.screen.wait_until(agrees, "the worker", self.patience):
            row = rows.first()
            found = f"“{SyncState(row.state).label}” {row.error_text}".strip() if row else "no contact"
            raise StepFailed(f"the state {' or '.join(f'“{one.label}”' for one in wanted)}", found)
        return rows.get()

    def expect(self, fact: bool, expected: str, actual: object) -> None:
        """Fail the step unless ``fact`` holds."""
        if not fact:
            raise StepFailed(expected, str(actual))

    def asked(self, since: int, *, show: bool = False) -> list[Asked]:
        """Return what the package asked Constant Contact since then, and show it line by line."""
        found = self.there.asked(since)
        if show:
            self.screen.quote("\n".join(str(one) for one in found))
        return found
