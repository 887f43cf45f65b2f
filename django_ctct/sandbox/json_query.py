"""The v3 door's queries and pages: which contacts a GET asks for, and the cursor that leads on.

It exists because a cursor must carry its filters and its limit, so that a client sends nothing beside it
(v3 sheet §2.2). A cursor that was made up or bent is a 400. It writes no documents.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.json_answers import Problem, invalid
from django_ctct.sandbox.json_read import UUID
from django_ctct.sandbox.json_write import SUB_RESOURCES
from django_ctct.sandbox.profile import Permission
from django_ctct.sandbox.values import Contact

_STATUSES = frozenset({"all", "active", "deleted", "not_set", "pending_confirmation", "temp_hold", "unsubscribed"})
_SMS_STATUSES = frozenset({"all", "explicit", "unsubscribed", "pending_confirmation", "not_set"})
_MAILABLE = frozenset({Permission.EXPLICIT, Permission.IMPLICIT})
_TIMES = tuple(f"{what}_{side}" for what in ("updated", "created", "optout") for side in ("after", "before"))
CONTACT_FILTERS = ("status", "email", "lists", "tags", "sms_status", "include", "include_count", *_TIMES)


class Params:
    """Read the parameters of one query; raise a 400 for a wrong one."""

    def __init__(self, query: str) -> None:
        # parse_qsl turns a raw + into a blank, as the service does: an address needs %2B.
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
        except ValueError as error:
            raise invalid("There are too many parameters") from error
        self.given = {name: value for name, value in reversed(pairs) if value}

    def text(self, name: str) -> str:
        """Return a parameter, empty when it is left out or blank."""
        return self.given.get(name, "")

    def number(self, name: str, default: int, highest: int) -> int:
        """Return a whole number from 1 up."""
        text = self.text(name) or str(default)
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= highest:
            raise wrong(name)
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a truth; left out is false."""
        if (text := self.text(name).lower() or "false") not in ("true", "false"):
            raise wrong(name)
        return text == "true"

    def words(self, name: str, known: frozenset[str] | tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of known words, separated by commas."""
        words = tuple(self.text(name).split(",")) if self.text(name) else ()
        if not set(words) <= set(known):
            raise wrong(name)
        return words

    def uuids(self, name: str, most: int) -> tuple[str, ...]:
        """Return a list of ids, separated by commas."""
        uuids = tuple(self.text(name).lower().split(",")) if self.text(name) else ()
        if len(uuids) > most or not all(re.fullmatch(UUID, each) for each in uuids):
            raise wrong(name)
        return uuids

    def numbers(self, name: str, most: int) -> tuple[int, ...]:
        """Return a list of whole numbers, separated by commas; at least one."""
        texts = self.text(name).split(",")
        if len(texts) > most or not all(re.fullmatch("[0-9]{1,18}", each) for each in texts):
            raise wrong(name)
        return tuple(int(each) for each in texts)

    def moment(self, name: str) -> datetime | None:
        """Return a time of any offset; one without is UTC."""
        if not (text := self.text(name)):
            return None
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+").upper())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise wrong(name) from error


def wrong(name: str) -> Problem:
    """Return the 400 for a parameter."""
    return invalid(f"{name} does not have a valid value")


# Cursors


@dataclass(frozen=True, slots=True)
class Place:
    """Say where a page starts: its parameters, and the number to go on behind."""

    params: Params
    after: int


def read_place(query: str, kind: str, account: Account) -> Place:
    """Read the start of a page from a query, or from the cursor in it."""
    params = Params(query)
    cursor = params.text("cursor")
    if not cursor:
        return Place(params, 0)
    if len(params.given) > 1 and account.switches.cursor_extras == "400":
        raise invalid("A cursor stands alone")
    inside = Params(_decoded(cursor))
    after, issued = inside.given.pop("next", ""), inside.given.pop("issued", "")
    if inside.given.pop("of", "") != kind or not re.fullmatch("[1-9][0-9]{0,17}", after):
        raise wrong("cursor")
    _check_age(issued, account)
    return Place(inside, int(after))


def write_cursor(params: Params, kind: str, after: int, account: Account) -> str:
    """Return the cursor that goes on behind a number, with all that the query said."""
    issued = str(int(account.clock.now().timestamp()))
    parts = {**params.given, "of": kind, "next": str(after), "issued": issued}
    return base64.b64encode(urlencode(parts).encode()).decode()


def links(href: str, cursor: str, account: Account) -> dict[str, Any]:
    """Return the ``_links`` member: path only, with ``/v3`` in it; on the last page as the switch says."""
    if cursor:
        return {"_links": {"next": {"href": f"/v3{href}?cursor={quote(cursor, safe='')}"}}}
    last: dict[str, dict[str, Any]] = {"null": {"_links": None}, "absent": {}, "empty": {"_links": {}}}
    return last[account.switches.last_page_links]


def _decoded(cursor: str) -> str:
    try:
        # A plus that came through as a blank is no fault of the client.
        return base64.b64decode(cursor.replace(" ", "+"), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise wrong("cursor") from error


def _check_age(issued: str, account: Account) -> None:
    if not re.fullmatch("[0-9]{1,12}", issued):
        raise wrong("cursor")
    life = account.switches.next_token_life
    if life and account.clock.now().timestamp() - int(issued) > life:
        refused = invalid("The cursor has expired")
        raise Problem(int(account.switches.next_token_refusal), refused.key, refused.message)


# Contacts


class ContactQuery:
    """Say which contacts a GET /contacts asks for, and what it wants to know of each."""

    def __init__(self, params: Params, account: Account) -> None:
        self._account = account
        self.limit = params.number("limit", 50, 500)
        self.include = params.words("include", SUB_RESOURCES)
        self.include_count = params.flag("include_count")
        self._statuses = params.words("status", _STATUSES)
        self._sms = params.words("sms_status", _SMS_STATUSES)
        self._email = params.text("email")
        self._tags = frozenset(params.uuids("tags", 50))
        self._lists = _numbers(params.uuids("lists", 25), account)
        self._times = [(name, moment) for name in _TIMES if (moment := params.moment(name)) is not None]
        self._visible = account.clock.now() - timedelta(seconds=account.switches.creation_visibility_lag)
        if params.text("segment_id"):
            raise Problem(404, "contacts.api.not_found", "This sandbox has no segments")

    def page(self, after: int) -> tuple[list[Contact], bool]:
        """Return one page behind a number, and whether there is more; ask under the account's lock."""
        found: list[Contact] = []
        for contact in self._candidates(after):
            if self._fits(contact):
                if len(found) == self.limit:
                    return found, True
                found.append(contact)
        return found, False

    def count(self) -> int:
        """Return how many contacts fit at all."""
        return sum(self._fits(contact) for contact in self._candidates(0))

    def _candidates(self, after: int) -> Iterable[Contact]:
        """Return who may fit: times come first, because they rule out nearly everybody."""
        if not self._email:
            contacts = self._account.contacts_after(after)
            for name, bound in self._times:
                contacts = _in_time(contacts, name, bound)
            return contacts
        folded = self._email if self._account.switches.email_case == "exact" else self._email.lower()
        found = self._account.find(folded)
        return [found] if found is not None and found.id > after else []

    def _fits(self, contact: Contact) -> bool:
        return (
            (contact.inserted <= self._visible or not self._account.switches.creation_visibility_lag)
            and self._fits_status(contact)
            and self._fits_texting(contact)
            and (self._lists is None or self._fits_lists(contact, self._lists))
            and (not self._tags or bool(self._tags & set(contact.profile.tags)))
            and all(_TIME_CHECKS[name](contact, moment) for name, moment in self._times)
        )

    def _fits_status(self, contact: Contact) -> bool:
        if not self._statuses:
            return _is_active(contact) if self._account.switches.default_status == "active" else not contact.deleted
        return any(_has_status(contact, each) for each in self._statuses)

    def _fits_texting(self, contact: Contact) -> bool:
        texting = contact.profile.texting
        if not self._sms:
            return bool(contact.address) or self._account.switches.sms_only_listed
        return texting is not None and ("all" in self._sms or texting.consent in self._sms)

    def _fits_lists(self, contact: Contact, wanted: list[int]) -> bool:
        on = [each in contact.memberships for each in wanted]
        return all(on) if self._account.switches.lists_filter == "all" else any(on)


def _numbers(uuids: tuple[str, ...], account: Account) -> list[int] | None:
    """Return the numbers of lists; a list that there is not becomes 0, which nobody is on."""
    if not uuids:
        return None
    found = [account.shelf.of_uuid(uuid) for uuid in uuids]
    return [each.id if each else 0 for each in found]


def _in_time(contacts: Iterator[Contact], name: str, bound: datetime) -> Iterator[Contact]:
    fits = _TIME_CHECKS[name]
    return (contact for contact in contacts if fits(contact, bound))


def _is_active(contact: Contact) -> bool:
    return contact.deleted is None and contact.permission_to_send in _MAILABLE


def _has_status(contact: Contact, status: str) -> bool:
    if status == "all":
        return True
    if contact.deleted is not None:
        return status == "deleted"
    return _is_active(contact) if status == "active" else contact.permission_to_send.value == status


_TIME_CHECKS: Mapping[str, Callable[[Contact, datetime], bool]] = {
    "updated_after": lambda contact, bound: contact.updated >= bound,
    "updated_before": lambda contact, bound: contact.updated <= bound,
    "created_after": lambda contact, bound: contact.inserted >= bound,
    "created_before": lambda contact, bound: contact.inserted <= bound,
    "optout_after": lambda contact, bound: contact.opt_out is not None and contact.opt_out.at >= bound,
    "optout_before": lambda contact, bound: contact.opt_out is not None and contact.opt_out.at <= bound,
}
