"""The rules of one Constant Contact account, in memory: who may be on which list, and what an opt-out means.

It exists so that every door (v1, v3, the page, the controls) meets the same account. It knows no HTTP and no
document format: it takes drafts, returns immutable values, and refuses with ``Refused``. One lock serialises
all of it. The rules are those of the v1 protocol sheet, §3, §4 and §6; what v3 asks beyond them is in
``people``, which keeps its contacts here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from threading import RLock
from uuid import uuid4

from django_ctct.sandbox.gate import Gate
from django_ctct.sandbox.profile import Permission
from django_ctct.sandbox.shelf import Shelf
from django_ctct.sandbox.switches import Switches
from django_ctct.sandbox.values import (
    Clock,
    Contact,
    ContactList,
    Credentials,
    Draft,
    Group,
    ListDraft,
    OptIn,
    OptOut,
    Refusal,
    Refused,
    Source,
)


class Account:
    """Hold one account and keep its rules."""

    def __init__(
        self,
        credentials: Credentials | None = None,
        switches: Switches | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.credentials = credentials or Credentials()
        self.switches = switches or Switches()
        self.clock = clock or Clock()
        self.gate = Gate(self.clock)
        self.lock = RLock()
        self.shelf = Shelf(self.clock)
        self.generation = 0
        self._at_reset: list[Callable[[], None]] = []
        self._empty()

    def _empty(self) -> None:
        self._contacts: dict[int, Contact] = {}
        self._ids: dict[str, int] = {}
        self._uuids: dict[str, int] = {}
        self._last_contact = 0
        self.shelf.clear()
        for forget in self._at_reset:
            forget()

    def at_reset(self, forget: Callable[[], None]) -> None:
        """Have what hangs on this account cleared together with it."""
        self._at_reset.append(forget)

    def reset(self) -> None:
        """Become a fresh account: no contact, no list, nothing used of the quota, the real time."""
        with self.lock:
            self.generation += 1
            self.clock.rewind()
            self.gate.reset()
            self._empty()

    def switch(self, changes: Mapping[str, object]) -> None:
        """Move switches; raise ``ValueError`` and move none if one of them is wrong."""
        with self.lock:
            self.switches = self.switches.changed(changes)

    # Reading

    def contacts(self) -> list[Contact]:
        """Return all contacts of every status, newest id first."""
        with self.lock:
            return list(reversed(self._contacts.values()))

    def contact(self, contact_id: int) -> Contact:
        """Return one contact by its number, or refuse."""
        with self.lock:
            if contact_id not in self._contacts:
                raise Refused(Refusal.UNKNOWN_CONTACT)
            return self._contacts[contact_id]

    def contact_of_uuid(self, uuid: str) -> Contact:
        """Return one contact by its uuid, or refuse."""
        with self.lock:
            return self.contact(self._uuids.get(uuid, 0))

    def contacts_after(self, contact_id: int) -> Iterator[Contact]:
        """Go through the contacts with a greater number, smallest first; hold the lock meanwhile."""
        known = map(self._contacts.get, range(contact_id + 1, self._last_contact + 1))
        return filter(None, known)

    def contacts_before(self, contact_id: int = 0) -> Iterator[Contact]:
        """Go through the contacts with a smaller number, or through all of them, greatest first."""
        known = map(self._contacts.get, range((contact_id or self._last_contact + 1) - 1, 0, -1))
        return filter(None, known)

    def find(self, address: str) -> Contact | None:
        """Return the contact of an address; the match is case-sensitive on lower case (v1 sheet §3.3)."""
        with self.lock:
            contact_id = self._ids.get(address)
            return None if contact_id is None else self._contacts[contact_id]

    def lists(self) -> list[ContactList]:
        """Return the ordinary lists, oldest first."""
        with self.lock:
            return self.shelf.all()

    def contact_list(self, list_id: int) -> ContactList:
        """Return one list by its number, or refuse."""
        with self.lock:
            return self.shelf.get(list_id)

    def list_named(self, name: str) -> ContactList | None:
        """Return the list of that very name."""
        with self.lock:
            return self.shelf.named(name)

    def counts(self) -> Counter[int]:
        """Return how many contacts are on each list."""
        return Counter(each for contact in self.contacts() for each in contact.memberships)

    def members(self, where: int | Group) -> Iterable[Contact]:
        """Return the contacts on an ordinary or a system list, newest id first; refuse an unknown list."""
        return self.among(self.contacts(), where)

    def among(self, contacts: Iterable[Contact], where: int | Group) -> Iterator[Contact]:
        """Go through those of the contacts that are on a list; refuse an unknown one."""
        if isinstance(where, Group):
            return (contact for contact in contacts if contact.group is where)
        self.contact_list(where)
        return (contact for contact in contacts if where in contact.memberships)

    # Writing contacts

    def create(self, draft: Draft, *, needs_list: bool = True) -> Contact:
        """Add a contact, or refuse an address that the account has in any status."""
        with self.lock:
            if self.switches.list_check_before_duplicate:
                lists = self._checked(draft.lists or frozenset(), needs_list)
                self._refuse_taken(draft.address)
            else:
                self._refuse_taken(draft.address)
                lists = self._checked(draft.lists or frozenset(), needs_list)
            blank = replace(self.blank(draft.address, draft.source), fields=dict(draft.fields))
            return self._keep(self._on_lists(blank, lists, draft.source))

    def update(self, contact_id: int, draft: Draft, *, version: int | None = None) -> Contact:
        """Rewrite a contact: unknown, then opt-out, then list rules, then the address (v1 sheet §12.3)."""
        with self.lock:
            old = self.contact(contact_id)
            if version is not None and version != old.version:
                raise Refused(Refusal.CHANGED_MEANWHILE)
            self._guard_opt_out(old, draft)
            lists = self._checked(draft.lists, False) if draft.lists is not None else frozenset(old.memberships)
            self._guard_emptying(old, lists, draft.source)
            if draft.address.lower() != old.address:
                self._refuse_taken(draft.address)
            new = replace(old, address=draft.address.lower(), fields={**old.fields, **draft.fields})
            new = replace(new, spelling=draft.address, updated_by=draft.source)
            return self._replace(old, self._on_lists(new, lists, draft.source))

    def opt_out(self, contact_id: int, source: Source, reason: str = "") -> Contact:
        """Take a contact off every list for good; the record and its id stay (v1 sheet §3.8)."""
        with self.lock:
            old = self.contact(contact_id)
            now = self.clock.now()
            gone = OptOut(source, now, reason)
            kept = old.memberships if self.switches.unsubscribed_keeps_lists else {}
            new = replace(old, memberships=kept, opt_out=gone, awaiting=False, confirmed=False, updated_by=source)
            updated = now if self.switches.updated_bump_on_opt_out else old.updated
            return self._keep(replace(new, updated=updated, version=old.version + 1))

    def set_lists(self, contact_id: int, lists: frozenset[int], source: Source) -> Contact:
        """Set the lists as the web pages do: an opt-out is undone by the contact alone, never by the owner."""
        with self.lock:
            old = self.contact(contact_id)
            if old.opt_out is not None and lists and source is not Source.CONTACT:
                raise Refused(Refusal.OPTED_OUT)
            for list_id in lists:
                self.contact_list(list_id)
            new = replace(self._on_lists(old, lists, source), updated_by=source)
            return self._keep(replace(new, updated=self.clock.now(), version=old.version + 1))

    def confirm(self, contact_id: int) -> Contact:
        """Note the contact's click on a confirmation mail; on an invitation it ends the opt-out too."""
        with self.lock:
            old = self.contact(contact_id)
            asked = old.invitation
            if asked is not None and not asked.answered and old.opt_out is not None:
                lists = self.shelf.known(asked.lists) | old.memberships.keys()
                old = replace(old, opt_out=None, invitation=replace(asked, answered=True))
                old = self._on_lists(old, lists, Source.CONTACT)
            new = replace(old, awaiting=False, confirmed=True, permission=Permission.EXPLICIT)
            new = replace(new, updated_by=Source.CONTACT)
            return self._keep(replace(new, updated=self.clock.now(), version=old.version + 1))

    def put(self, contact: Contact) -> Contact:
        """Store a contact as it stands, past all rules; for setting a scene, never for a door."""
        with self.lock:
            return self._keep(contact)

    def blank(self, address: str, source: Source) -> Contact:
        """Return a contact with a number of its own, on no list and not stored yet."""
        now = self.clock.now()
        self._last_contact += 1
        return Contact(
            id=self._last_contact,
            uuid=str(uuid4()),
            address=address.lower(),
            fields={},
            memberships={},
            opt_in=OptIn(source, now),
            inserted=now,
            updated=now,
            spelling=address,
            permission=Permission.EXPLICIT if source is Source.CONTACT else Permission.IMPLICIT,
            created_by=source,
            updated_by=source,
        )

    def _keep(self, contact: Contact) -> Contact:
        before = self._contacts.get(contact.id)
        if before is not None:
            self._ids.pop(before.address, None)
        self._contacts[contact.id] = contact
        self._uuids[contact.uuid] = contact.id
        if contact.address:
            self._ids[contact.address] = contact.id
        return contact

    def _replace(self, old: Contact, new: Contact) -> Contact:
        details_changed = (old.address, old.fields) != (new.address, new.fields)
        bump = details_changed or self.switches.list_put_bumps_update
        updated = self.clock.now() if bump else old.updated
        return self._keep(replace(new, updated=updated, version=old.version + 1))

    def _on_lists(self, contact: Contact, lists: frozenset[int], source: Source) -> Contact:
        """Set the memberships; a first list ends an opt-out, and may have to wait for a click."""
        fresh = OptIn(source, self.clock.now())
        kept = contact.memberships if self.switches.keep_optin_on_kept_membership else {}
        memberships = {each: kept.get(each, fresh) for each in sorted(lists)}
        if not memberships:
            gone = self.switches.v1_removed_in_v3 == "deleted" and bool(contact.memberships)
            deleted = self.clock.now() if gone else contact.deleted
            return replace(contact, memberships={}, awaiting=False, deleted=deleted)
        # Who has opted out but is on lists all the same (a switch) comes back by a further list only.
        first = not contact.memberships if contact.opt_out is None else bool(lists - contact.memberships.keys())
        contact = replace(contact, memberships=memberships, deleted=None)
        if not first:
            return contact
        waits = self.switches.confirmed_optin and source is Source.CONTACT and not contact.confirmed
        permission = Permission.EXPLICIT if source is Source.CONTACT else contact.permission
        return replace(contact, opt_in=fresh, opt_out=None, awaiting=waits, permission=permission)

    def _checked(self, lists: frozenset[int], needs_list: bool) -> frozenset[int]:
        valid = self.shelf.known(lists)
        if needs_list and not valid:
            raise Refused(Refusal.NO_VALID_LIST)
        # A PUT that names unknown lists only must not be taken for a PUT of no lists.
        if lists and not valid:
            raise Refused(Refusal.NO_KNOWN_LIST)
        if lists != valid and self.switches.unknown_list == "reject":
            raise Refused(Refusal.STRANGE_LIST)
        return frozenset(valid)

    def _refuse_taken(self, address: str) -> None:
        if address.lower() in self._ids:
            raise Refused(Refusal.ADDRESS_TAKEN)

    def _guard_opt_out(self, old: Contact, draft: Draft) -> None:
        if old.opt_out is None or draft.source is Source.CONTACT:
            return
        if draft.lists or self.switches.dnm_details_put == "refuse":
            raise Refused(Refusal.OPTED_OUT)

    def _guard_emptying(self, old: Contact, lists: frozenset[int], source: Source) -> None:
        if lists or not old.memberships:
            return
        if self.switches.empty_lists_put == "reject":
            raise Refused(Refusal.EMPTY_LISTS)
        if source is Source.CONTACT and not self.switches.legacy_remove_by_contact:
            raise Refused(Refusal.EMPTIED_BY_CONTACT)

    # Writing lists

    def create_list(self, draft: ListDraft) -> ContactList:
        """Add a list, or refuse a name that is taken."""
        with self.lock:
            return self.shelf.create(draft)

    def update_list(self, list_id: int, draft: ListDraft) -> ContactList:
        """Rewrite a list, or refuse a name that another list has."""
        with self.lock:
            return self.shelf.update(list_id, draft)

    def delete_list(self, list_id: int) -> None:
        """Drop a list; who was on no other list is Removed by that (v1 sheet §4.3: presumed)."""
        with self.lock:
            self.contact_list(list_id)
            for contact in self.members(list_id):
                rest = {each: opt_in for each, opt_in in contact.memberships.items() if each != list_id}
                new = replace(contact, memberships=rest, awaiting=contact.awaiting and bool(rest))
                self._keep(replace(new, updated=self.clock.now(), version=contact.version + 1))
            self.shelf.drop(list_id)
