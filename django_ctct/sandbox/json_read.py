"""What the v3 door understands: JSON bodies sent by a client, as wishes.

It exists apart from the door because a body of a stranger needs care: it may be cut, deep, or of wrong types,
and every such thing is a 400 with all that is wrong, joined by commas. Unknown members are ignored. It decides
nothing about the account. Rules: v3 sheet §2.1, §2.4, §2.5, §2.7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from django_ctct.sandbox.details import CORE
from django_ctct.sandbox.json_answers import invalid
from django_ctct.sandbox.profile import PhoneKind, Street, StreetKind
from django_ctct.sandbox.values import Source

Choice = TypeVar("Choice", bound=StrEnum)

UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
SOURCES: Mapping[str, Source] = {"Contact": Source.CONTACT, "Account": Source.CUSTOMER}
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")
_DATES = ("%m/%d/%Y", "%Y/%m/%d", "%Y-%m-%d", "%m-%d-%Y")
_STREET_PARTS = {"street": 255, "city": 50, "state": 50, "postal_code": 50, "country": 50}


def read_body(body: bytes) -> Sent:
    """Read a JSON object; raise a 400 for anything else."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("The body is not well-formed JSON") from error
    if not isinstance(given, dict):
        raise invalid("The body is not a JSON object")
    return Sent(given)


class Sent:
    """Read the members of one sent object, and gather what is wrong with them."""

    def __init__(self, given: Mapping[str, Any], problems: list[str] | None = None) -> None:
        self.given = given
        self.problems: list[str] = [] if problems is None else problems

    def has(self, name: str) -> bool:
        """Tell whether a member is there and not null."""
        return self.given.get(name) is not None

    def wrong(self, name: str) -> None:
        """Note that a member has a wrong value."""
        self.problems.append(f"{name} does not have a valid value")

    def check(self) -> None:
        """Raise a 400 if anything was wrong."""
        if self.problems:
            raise invalid(*self.problems)

    def text(self, name: str, limit: int, *, filled: bool = False) -> str | None:
        """Return a text; ``filled`` refuses an empty one."""
        value = self.given.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _sayable(value):
            self.wrong(name)
            return None
        if filled and not value.strip():
            self.problems.append(f"{name} may not be empty")
        if len(value) > limit:
            self.problems.append(f"{name} has more than {limit} characters")
        return value

    def need(self, name: str) -> None:
        """Note that a member is missing."""
        if not self.has(name):
            self.problems.append(f"{name} is missing, {name} does not have a valid value")

    def flag(self, name: str) -> bool | None:
        """Return a truth."""
        value = self.given.get(name)
        if value is not None and not isinstance(value, bool):
            self.wrong(name)
            return None
        return value

    def choice(self, name: str, kind: type[Choice]) -> Choice | None:
        """Return a member of a closed set."""
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value in {each.value for each in kind}:
            return kind(value)
        self.wrong(name)
        return None

    def source(self, name: str) -> Source:
        """Return who acted; it is required."""
        value = self.given.get(name)
        if not isinstance(value, str) or value not in SOURCES:
            self.problems.append(f"{name} is missing, {name} does not have a valid value")
            return Source.CUSTOMER
        return SOURCES[value]

    def uuids(self, name: str, most: int, least: int = 0) -> tuple[str, ...] | None:
        """Return a list of ids, each once and in lower case."""
        values = self.given.get(name)
        if values is None:
            return None
        if not isinstance(values, list) or not all(isinstance(v, str) and re.fullmatch(UUID, v) for v in values):
            self.wrong(name)
            return None
        if not least <= len(values) <= most:
            self.problems.append(f"{name} has {least} to {most} entries")
        return tuple(dict.fromkeys(value.lower() for value in values))

    def objects(self, name: str, most: int) -> list[Sent] | None:
        """Return a list of objects, whose faults are gathered with ours."""
        values = self.given.get(name)
        if values is None:
            return None
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            self.wrong(name)
            return None
        if len(values) > most:
            self.problems.append(f"{name} has at most {most} entries")
        return [Sent(value, self.problems) for value in values]

    def object(self, name: str) -> Sent | None:
        """Return one object."""
        value = self.given.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(name)
            return None
        return Sent(value, self.problems)

    def address(self, name: str, limit: int = 80) -> str | None:
        """Return an e-mail address as it was sent, without blanks around it."""
        value = self.text(name, limit)
        if value is not None and not is_address(value.strip()):
            self.problems.append("Email address is invalid")
        return value and value.strip()

    # Parts of contacts

    def core(self, *, filled: bool = False) -> dict[str, str]:
        """Return the name fields that were sent, by the elements of v1."""
        found = {element: self.text(name, 50, filled=filled) for name, element in CORE.items()}
        return {element: text for element, text in found.items() if text is not None}

    def birthday(self) -> tuple[int, int] | None:
        """Return month and day; both or neither."""
        month, day = self.given.get("birthday_month"), self.given.get("birthday_day")
        if month is None and day is None:
            return None
        if type(month) is int and type(day) is int and 1 <= month <= 12 and 1 <= day <= 31:
            return month, day
        self.wrong("birthday_month and birthday_day")
        return None

    def anniversary(self) -> str | None:
        """Return a date in one of the six forms."""
        value = self.text("anniversary", 10)
        if value and not is_date(value):
            self.wrong("anniversary")
        return value

    def phones(self) -> dict[PhoneKind, str] | None:
        """Return the phone numbers by kind; the last of a kind wins."""
        values = self.objects("phone_numbers", 3)
        if values is None:
            return None
        return {v.choice("kind", PhoneKind) or PhoneKind.OTHER: v.text("phone_number", 25) or "" for v in values}

    def streets(self) -> dict[StreetKind, Street] | None:
        """Return the street addresses by kind; the last of a kind wins."""
        values = self.objects("street_addresses", 3)
        return None if values is None else dict(value.street() for value in values)

    def street(self) -> tuple[StreetKind, Street]:
        """Read this object as a street address; its kind is required."""
        self.need("kind")
        kind = self.choice("kind", StreetKind) or StreetKind.OTHER
        return kind, Street(**{part: self.text(part, limit) or "" for part, limit in _STREET_PARTS.items()})

    def custom(self, most: int) -> dict[str, str] | None:
        """Return the custom field values by definition."""
        values = self.objects("custom_fields", most)
        return None if values is None else dict(value._custom() for value in values)

    def _custom(self) -> tuple[str, str]:
        uuid = self.text("custom_field_id", 36) or ""
        if not re.fullmatch(UUID, uuid):
            self.wrong("custom_field_id")
        return uuid.lower(), self.text("value", 255) or ""

    def notes(self) -> tuple[str, ...] | None:
        """Return the texts of the notes."""
        values = self.objects("notes", 150)
        return None if values is None else tuple(value.text("content", 2000) or "" for value in values)

    def texting(self) -> tuple[str, str] | None:
        """Return the number and the consent of an ``sms_channel`` (v3 sheet §10)."""
        channel = self.object("sms_channel")
        if channel is None:
            return None
        number = channel.text("full_sms_address", 15) or channel.text("sms_address", 15) or ""
        if not re.fullmatch(r"\+?[0-9]{7,15}", number):
            channel.wrong("sms_address")
        consents = channel.objects("sms_channel_consents", 10) or []
        said = [consent.text("sms_consent_permission", 30) for consent in consents]
        return number.lstrip("+"), next(filter(None, said), "not_set")


def is_address(text: str) -> bool:
    """Tell whether a text is an e-mail address."""
    return _ADDRESS.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Tell whether a text is an id."""
    return re.fullmatch(UUID, text) is not None


def is_date(text: str) -> bool:
    """Tell whether a text is a date in one of the forms of §2.1."""
    for form in _DATES:
        try:
            datetime.strptime(text, form)  # noqa: DTZ007 -- a day has no zone
        except ValueError:
            continue
        return True
    return False


def read_only_keys(sent: Sent, names: Sequence[str]) -> list[str]:
    """Return which of the names were sent, one level deep into objects and lists of objects too."""
    inner = [value for value in sent.given.values() if isinstance(value, dict)]
    inner += [v for value in sent.given.values() if isinstance(value, list) for v in value if isinstance(v, dict)]
    return [name for name in names if any(name in each for each in (sent.given, *inner))]


def _sayable(text: str) -> bool:
    """Tell whether a text can be written out again: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
