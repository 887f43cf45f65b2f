"""What a contact has beside the fields of the old wire: permission, phones, streets, notes, texting, invitation.

It exists apart from the other values because only the v3 door speaks of it. Like them it knows no wire, is
immutable, and stays untouched by whatever v1 writes. Terms are those of the v3 sheet, §2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Permission(StrEnum):
    """Name the permissions to send (v3 sheet §2.1)."""

    EXPLICIT = "explicit"
    IMPLICIT = "implicit"
    NOT_SET = "not_set"
    PENDING = "pending_confirmation"
    TEMP_HOLD = "temp_hold"
    UNSUBSCRIBED = "unsubscribed"


class PhoneKind(StrEnum):
    """Name the kinds of phones; one of each."""

    HOME = "home"
    WORK = "work"
    MOBILE = "mobile"
    OTHER = "other"


class StreetKind(StrEnum):
    """Name the kinds of street addresses; one of each."""

    HOME = "home"
    WORK = "work"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Street:
    """Hold one street address."""

    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Hold one note about a contact."""

    uuid: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Texting:
    """Hold the number that a contact may be texted at, and the consent to it."""

    uuid: str
    number: str
    consent: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """Hold what v1 has no element for; ``custom`` maps custom field uuids to values."""

    birthday: tuple[int, int] | None = None
    anniversary: str = ""
    phones: Mapping[PhoneKind, str] = field(default_factory=dict)
    streets: Mapping[StreetKind, Street] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    tags: tuple[str, ...] = ()
    texting: Texting | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """Record the one mail that asks an opted-out contact to come back (v3 sheet §2.8)."""

    lists: frozenset[int]
    at: datetime
    answered: bool = False
