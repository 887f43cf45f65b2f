"""A third door to the sandbox's account, without HTTP: for a site's own tests.

It keeps the contract of ``base`` word for word as the wires do, with the same fields as v1, the same errors and
codes, and no network, so that a test suite that has only this backend still meets Constant Contact's rules.
Never use it to reach anybody: the account is a few dicts in this process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from ..exceptions import ConfigurationError, RemoteConflict, RemoteError, RequestRejected
from ..sandbox.account import Account
from ..sandbox.values import Contact, ContactList, Draft, Group, ListDraft, OptIn, Refusal, Refused, Source, Status
from ..types import (
    ContactStatus,
    ContactSummary,
    OptInSource,
    Page,
    Permit,
    RemoteContact,
    RemoteList,
    Sighting,
    Subscription,
    Verb,
)
from .atom_entry import ELEMENTS, FIELDS, LIST_NAME_LENGTH, LIST_TYPES
from .base import BaseBackend, Gate, Tokens
from .cursors import Cursors, Place
from .http import Call, check_options

__all__ = ["MemoryBackend", "account_named"]

_accounts: dict[str, Account] = {}
_accounts_lock = Lock()


def account_named(name: str = "default") -> Account:
    """Return the account of that name, the same one for the whole process; ``reset`` it between tests."""
    with _accounts_lock:
        return _accounts.setdefault(name, Account())


class MemoryBackend(BaseBackend):
    """Speaks to an account in memory. ``OPTIONS``: ``account``, an ``Account`` or a name (``default``)."""

    fields = FIELDS
    options = ("account",)

    def __init__(self, options: Mapping[str, Any], *, gate: Gate | None = None, tokens: Tokens | None = None) -> None:
        super().__init__(options, gate=gate, tokens=tokens)
        check_options(options, self.options)
        given = options.get("account", "default")
        if not isinstance(given, Account | str):
            raise ConfigurationError("account must be a name or an account of the sandbox.")
        self.account = account_named(given) if isinstance(given, str) else given
        self._cursors = Cursors("memory", str(id(self.account)))

    # Contacts

    def find(self, email: str) -> RemoteContact | None:
        self.gate.acquire()
        contact = self.account.find(email.strip().lower())
        return None if contact is None else _remote(contact)

    def get(self, remote_id: str) -> RemoteContact | None:
        call = Call("GET", "/contacts/{id}")
        contact_id = _number(call, remote_id)
        try:
            with self._door(call):
                return _remote(self.account.contact(contact_id))
        except RemoteConflict:  # not there
            return None

    def create(self, permit: Permit) -> RemoteContact:
        call = Call("POST", "/contacts")
        draft = _draft(call, self.sendable(permit, Verb.CREATE))
        with self._door(call):
            return _remote(self.account.create(draft))

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        call = Call("PUT", "/contacts/{id}")
        contact_id = _number(call, existing.remote_id)
        draft = _draft(call, self.sendable(permit, Verb.UPDATE))
        if existing.document is None:
            raise call.error(RemoteConflict, "the contact has to be read before it is written", code="not_read")
        with self._door(call):
            self.account.update(contact_id, draft)

    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        call = Call("DELETE", "/contacts/{id}")
        contact_id = _number(call, existing.remote_id)
        self.sendable(permit, Verb.OPT_OUT)
        with self._door(call):
            self.account.opt_out(contact_id, Source.CUSTOMER)

    def changed_since(
        self, moment: datetime, *, status: ContactStatus | None = None, list_id: str | None = None
    ) -> Iterator[ContactSummary]:
        if (status is None) == (list_id is None) or moment.tzinfo is None:
            raise ValueError("Ask with an aware moment, and with exactly one of status and list_id.")
        call = Call("GET", "/contacts?updatedsince={moment}")
        if status is ContactStatus.UNCONFIRMED:
            raise call.error(RequestRejected, "v1 has no list type for unconfirmed contacts", code="no_list_type")
        where = Group(LIST_TYPES[status]) if status else _number(call, list_id or "")
        since = moment.astimezone(UTC)
        since = since.replace(microsecond=since.microsecond // 1000 * 1000)  # v1 takes milliseconds
        return (one for contact, one in self._summaries(call, where) if contact.updated >= since)

    def contacts(self) -> Iterator[ContactSummary]:
        yield from (_summary(contact) for contact in self._on(""))

    # Feeds for the pull: like v1, they name no lists

    walks_lists = True
    #: Contacts of one page.
    page_size = 50

    def changes(self, since: datetime) -> Iterator[Page]:
        if since.tzinfo is None:
            raise ValueError("Ask with an aware moment.")
        for kind in (Group.ACTIVE, Group.REMOVED, Group.DO_NOT_MAIL):
            found = [one for one in self._on(kind) if one.updated >= since]
            for first in range(0, max(len(found), 1), self.page_size):
                yield self._page(found[first : first + self.page_size])

    def walk(self, lists: Sequence[str], cursor: str = "") -> Iterator[Page]:
        """Walk the contacts, then the members of each list, the newest first. A page's place is its last id."""
        wanted = [str(_number(Call("GET", "/lists/{id}/members"), one)) for one in lists]
        place = self._cursors.read_place(cursor) if cursor else Place()
        if place.page and not place.page.isdecimal():
            raise RequestRejected("This is no place in a walk.", code="cursor")
        return self._walk(place.still(wanted), wanted)

    def _walk(self, place: Place | None, lists: Sequence[str]) -> Iterator[Page]:
        while place is not None:
            rest = [one for one in self._on(place.list_id) if not place.page or one.id < int(place.page)]
            told, more = rest[: self.page_size], len(rest) > self.page_size
            ahead = place.on_page(str(told[-1].id)) if more else place.ahead(lists)
            yield replace(self._page(told, place.list_id), cursor=self._cursors.write(ahead))
            place = ahead

    def _page(self, told: Iterable[Contact], on_list: str = "") -> Page:
        return Page(tuple(_sighting(one, on_list) for one in told), at=self.account.clock.now().replace(microsecond=0))

    def _on(self, where: Group | str) -> list[Contact]:
        """Return who is on a list, or everybody, the newest first; who has no address is nobody for v1."""
        with self._door(Call("GET", "/contacts")):
            group = where if isinstance(where, Group) or not where else int(where)
            found = self.account.members(group) if group else self.account.contacts()
        return [one for one in found if one.address]

    # Lists

    def lists(self) -> Iterator[RemoteList]:
        self.gate.acquire()
        yield from (self._list(one) for one in self.account.lists())

    def get_list(self, list_id: str) -> RemoteList | None:
        call = Call("GET", "/lists/{id}")
        number = _number(call, list_id)
        try:
            with self._door(call):
                return self._list(self.account.contact_list(number))
        except RequestRejected:  # not there
            return None

    def create_list(self, name: str) -> RemoteList:
        call = Call("POST", "/lists")
        draft = ListDraft(_list_name(call, name))
        with self._door(call):
            return self._list(self.account.create_list(draft))

    def rename_list(self, list_id: str, name: str) -> None:
        call = Call("PUT", "/lists/{id}")
        number = _number(call, list_id)
        if self.get_list(list_id) is None:
            raise call.error(RemoteConflict, "the list is not there any more", code="gone")
        wanted = _list_name(call, name)
        with self._door(call):
            old = self.account.contact_list(number)
            self.account.update_list(number, ListDraft(wanted, old.sort_order, old.opt_in_default))

    def delete_list(self, list_id: str) -> None:
        call = Call("DELETE", "/lists/{id}")
        number = _number(call, list_id)
        if self.get_list(list_id) is not None:
            with self._door(call):
                self.account.delete_list(number)

    def members(self, list_id: str) -> Iterator[ContactSummary]:
        call = Call("GET", "/lists/{id}/members")
        return (one for _, one in self._summaries(call, _number(call, list_id)))

    # The account

    @contextmanager
    def _door(self, call: Call) -> Iterator[None]:
        """Ask the gate, and turn the account's refusal into what the wires make of it."""
        self.gate.acquire()
        try:
            yield
        except Refused as refused:
            kind, code = _REFUSALS.get(refused.refusal, (RequestRejected, "http_400"))
            raise call.error(kind, refused.refusal.value, code=code) from None

    def _summaries(self, call: Call, where: int | Group) -> Iterator[tuple[Contact, ContactSummary]]:
        with self._door(call):
            found = list(self.account.members(where))
        yield from ((contact, _summary(contact)) for contact in found if contact.address)

    def _list(self, one: ContactList) -> RemoteList:
        return RemoteList(str(one.id), one.name, self.account.counts()[one.id])


def _number(call: Call, remote_id: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", remote_id):
        raise call.error(RequestRejected, "an id is a number", code="bad_id")
    return int(remote_id)


def _list_name(call: Call, name: str) -> str:
    if not 0 < len(name.strip()) <= LIST_NAME_LENGTH:
        raise call.error(RequestRejected, f"a list's name has 1 to {LIST_NAME_LENGTH} characters", code="bad_name")
    return name


def _draft(call: Call, permit: Permit) -> Draft:
    fields = {ELEMENTS[name]: value for name, value in permit.fields.items()}
    lists = frozenset(_number(call, one) for one in permit.lists)
    return Draft(permit.email, fields, lists, _SOURCES[permit.source])


def _remote(contact: Contact) -> RemoteContact:
    names = {local: name for name, local in ELEMENTS.items()}
    gone = contact.opt_out
    return RemoteContact(
        remote_id=str(contact.id),
        email=contact.address,
        status=_STATUSES[contact.status],
        lists={str(list_id): _subscription(one) for list_id, one in contact.memberships.items()},
        fields={names[local]: text for local, text in contact.fields.items() if local in names and text.strip()},
        opted_out_at=gone.at if gone else None,
        opted_out_source=_ACTORS[gone.source] if gone else None,
        updated_at=contact.updated,
        stamp=contact.updated,
        document=contact,
    )


def _subscription(one: OptIn) -> Subscription:
    return Subscription(_ACTORS[one.source], one.at)


def _sighting(contact: Contact, on_list: str = "") -> Sighting:
    one = _summary(contact)
    status = None if on_list else one.status
    return Sighting(one.remote_id, one.email, status, None, on_list, name=one.name)


def _summary(contact: Contact) -> ContactSummary:
    names = (contact.fields.get("LastName", ""), contact.fields.get("FirstName", ""))
    return ContactSummary(str(contact.id), contact.address, _STATUSES[contact.status], ", ".join(filter(None, names)))


_STATUSES = {
    Status.ACTIVE: ContactStatus.ACTIVE,
    Status.UNCONFIRMED: ContactStatus.UNCONFIRMED,
    Status.REMOVED: ContactStatus.REMOVED,
    Status.DO_NOT_MAIL: ContactStatus.DO_NOT_MAIL,
}
_SOURCES = {OptInSource.SITE: Source.CUSTOMER, OptInSource.CONTACT: Source.CONTACT}
_ACTORS = {actor: source for source, actor in _SOURCES.items()}

#: What the wires make of a refusal; the rest is a plain 400.
_REFUSALS: dict[Refusal, tuple[type[RemoteError], str]] = {
    Refusal.UNKNOWN_CONTACT: (RemoteConflict, "gone"),
    Refusal.UNKNOWN_LIST: (RequestRejected, "http_404"),
    Refusal.ADDRESS_TAKEN: (RemoteConflict, "http_409"),
    Refusal.NAME_TAKEN: (RemoteConflict, "http_409"),
    Refusal.NO_VALID_LIST: (RequestRejected, "no_valid_list"),
    Refusal.OPTED_OUT: (RequestRejected, "do_not_mail"),
}
