"""How the v3 door says things: JSON bodies, times, and the shapes that errors come in (v3 sheet §6).

It exists so that every v3 module raises the same ``Problem`` and writes times alike. It decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from django_ctct.sandbox.switches import Switches
from django_ctct.sandbox.values import Refusal, Refused
from django_ctct.sandbox.wire import Answer, Request

JSON = "application/json"
VALIDATION = "contacts.api.validation.error"
NOT_FOUND = "contacts.api.not_found"
CONFLICT = "contacts.api.conflict"

Verb: TypeAlias = Callable[[Request, str], Answer]


class Problem(Exception):
    """Say with which status, key and words the door answers; ``alone`` is an object where arrays are usual."""

    def __init__(self, status: int, key: str, message: str, *, alone: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.key = key
        self.message = message
        self.alone = alone

    def as_answer(self) -> Answer:
        """Return the answer."""
        each = {"error_key": self.key, "error_message": self.message}
        return json_answer(self.status, each if self.alone else [each])


@dataclass(frozen=True, slots=True)
class Route:
    """Bind a method and a path below ``/v3`` to what answers it, and to the scope that it asks for."""

    method: str
    pattern: str
    verb: Verb
    scope: str = "contact_data"


def invalid(*messages: str) -> Problem:
    """Return a 400 for what was sent; several messages are joined by commas."""
    return Problem(400, VALIDATION, ", ".join(messages))


def refusal_problem(refused: Refused, switches: Switches) -> Problem:
    """Return how v3 tells a refusal of the account."""
    refusal = refused.refusal
    if refusal is Refusal.ADDRESS_TAKEN:
        # The words are part of the protocol: clients read the id out of them (v3 sheet §2.4).
        named = switches.taken_words == "id"
        words = f"Email already exists for contact {refused.about}" if named else "EmailAddress is not unique"
        return Problem(409, CONFLICT, f"Validation failed: {words}")
    if refusal is Refusal.NAME_TAKEN:
        return Problem(409, CONFLICT, refusal.value)
    if refusal in (Refusal.UNKNOWN_CONTACT, Refusal.UNKNOWN_LIST):
        return Problem(404, NOT_FOUND, refusal.value)
    if refusal is Refusal.OPTED_OUT and switches.resubscribe_by_account == "403":
        return Problem(403, "contacts.api.forbidden", refusal.value)
    return invalid(refusal.value)


def json_answer(status: int, document: object) -> Answer:
    """Return a JSON answer."""
    return Answer(status, json.dumps(document, separators=(",", ":")).encode(), JSON)


def stamp(moment: datetime) -> str:
    """Write a time as v3 does: UTC, whole seconds (v3 sheet §0)."""
    # An account of 100,000 contacts has half a million of them to write: a format would take three times as long.
    return f"{moment.astimezone(UTC).isoformat('T', 'seconds')[:19]}Z"


def present(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not set: v3 has no nulls there (v3 sheet §2.1)."""
    return {name: value for name, value in document.items() if value not in (None, "")}
