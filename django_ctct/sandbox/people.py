"""What v3 lets happen to a contact: soft deletion, revival, opt-out with its source, sign-up, invitation.

It exists beside ``account`` because the two wires ask different things of the same contact. It knows no HTTP and
no JSON: it takes wishes, stores contacts, and refuses with ``Refused``. Ask it under the account's lock. The
rules are those of the v3 sheet, §2.4 to §2.10.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.catalogue import Catalogue
from django_ctct.sandbox.details import Wanted, added_to, laid_over
from django_ctct.sandbox.profile import Invitation, Permission
from django_ctct.sandbox.values import Contact, OptIn, OptOut, Refusal, Refused, Source

LISTS_OF_CONTACT = 50
_SENDABLE = frozenset({Permission.IMPLICIT, Permission.EXPLICIT, Permission.UNSUBSCRIBED})


class People:
    """Write contacts of one account by the rules of v3."""

    def __init__(self, account: Account, catalogue: Catalogue) -> None:
        self._account = account
        self._catalogue = catalogue

    # One contact

    def create(self, wanted: Wanted) -> Contact:
        """Add a contact, or refuse an address that the account has in any state (§2.4)."""
        self._refuse_taken(wanted.address)
        permission = wanted.permission or Permission.IMPLICIT
        if permission not in _SENDABLE:
            raise Refused(Refusal.WRONG_PERMISSION)
        blank = self._account.blank(wanted.address or "", wanted.source)
        waits = bool(wanted.address) and self._account.switches.confirmed_optin
        new = replace(blank, permission=permission, awaiting=waits)
        new = laid_over(new, wanted, self._catalogue, self._now())
        if permission is Permission.UNSUBSCRIBED:
            new = self._opted_out(replace(new, permission=Permission.IMPLICIT), wanted)
        return self._account.put(_somebody(self._on(new, wanted.lists or frozenset(), wanted.source)))

    def replace(self, old: Contact, wanted: Wanted) -> Contact:
        """Rewrite a contact (§2.5); what happens to what was left out is a matter of switches."""
        switches = self._account.switches
        self._guard(old, wanted)
        wanted = wanted.emptied(arrays=switches.put_omitted_arrays == "null")
        deleted = old.deleted if self._stays_deleted(old, wanted) else None
        new = laid_over(replace(old, deleted=deleted), wanted, self._catalogue, self._now())
        try:
            new = self._permitted(self._addressed(new, wanted), wanted)
        except Refused as refused:
            if refused.refusal is Refusal.OPTED_OUT and switches.resubscribe_by_account == "ignore":
                return old
            raise
        lists = frozenset(new.memberships) if wanted.lists is None else wanted.lists
        return self._store(old, _somebody(self._on(new, lists, wanted.source)), wanted.source)

    def delete(self, old: Contact) -> Contact:
        """Delete softly: lists go, permission and record stay (§2.6)."""
        if old.deleted is not None:
            return old
        return self._store(old, replace(old, memberships={}, deleted=self._now()), Source.CUSTOMER)

    def sign_up(self, wanted: Wanted) -> tuple[Contact, bool]:
        """Do what a contact's own sign-up does, and tell whether it is a new one (§2.7).

        It makes an opted-out contact explicit again: it is the contact's own act, and nothing for a machine.
        """
        old = self._account.find((wanted.address or "").lower())
        if old is None:
            blank = self._account.blank(wanted.address or "", Source.CONTACT)
            new = replace(blank, awaiting=self._account.switches.confirmed_optin)
            new = added_to(new, wanted, self._catalogue, self._now())
            return self._account.put(self._on(new, wanted.lists or frozenset(), Source.CONTACT)), True
        new = added_to(replace(old, deleted=None), wanted, self._catalogue, self._now())
        if old.opt_out is not None or old.deleted is not None:
            new = replace(new, opt_out=None, opt_in=OptIn(Source.CONTACT, self._now()))
        new = replace(new, permission=Permission.EXPLICIT)
        lists = frozenset(old.memberships) | (wanted.lists or frozenset())
        if len(lists) > LISTS_OF_CONTACT:
            raise Refused(Refusal.TOO_MANY_LISTS)
        return self._store(old, self._on(new, lists, Source.CONTACT), Source.CONTACT), False

    def invite(self, old: Contact, lists: frozenset[int]) -> Contact:
        """Ask an opted-out contact to come back, once; nothing changes until it confirms (§2.8)."""
        if old.opt_out is None:
            raise Refused(Refusal.NOT_OPTED_OUT)
        if old.invitation is not None:
            raise Refused(Refusal.INVITED_ALREADY)
        return self._account.put(replace(old, invitation=Invitation(lists, self._now())))

    # Many contacts

    def add_to(self, old: Contact, lists: frozenset[int]) -> Contact:
        """Put a contact on further lists; who has opted out stays off them."""
        if old.opt_out is not None:
            return old
        wished = lists | old.memberships.keys()
        if len(wished) > LISTS_OF_CONTACT:
            raise Refused(Refusal.TOO_MANY_LISTS)
        new = self._on(replace(old, deleted=None), frozenset(wished), Source.CUSTOMER)
        return old if new == old else self._store(old, new, Source.CUSTOMER)

    def take_off(self, old: Contact, lists: frozenset[int]) -> Contact:
        """Take a contact off lists; on no list it is still there, and not deleted (§2.10)."""
        rest = {each: opt_in for each, opt_in in old.memberships.items() if each not in lists}
        if len(rest) == len(old.memberships):
            return old
        return self._store(old, replace(old, memberships=rest), Source.CUSTOMER)

    def enter(self, wanted: Wanted) -> tuple[Contact, bool]:
        """Import one row, and tell whether the lists took it: nobody is un-unsubscribed (§2.8, §4)."""
        old = self._account.find((wanted.address or "").lower())
        if old is None:
            blank = self._account.blank(wanted.address or "", Source.CUSTOMER)
            new = added_to(blank, wanted, self._catalogue, self._now())
            return self._account.put(self._on(new, wanted.lists or frozenset(), Source.CUSTOMER)), True
        new = added_to(old, wanted, self._catalogue, self._now())
        new = old if _same_but_lists(new, old) else self._store(old, new, Source.CUSTOMER)
        return self.add_to(new, wanted.lists or frozenset()), new.opt_out is None

    # Steps

    def _guard(self, old: Contact, wanted: Wanted) -> None:
        switches = self._account.switches
        revives = bool(wanted.lists) and wanted.source is Source.CUSTOMER
        leaves = wanted.permission is Permission.UNSUBSCRIBED and switches.deleted_unsubscribe != "400"
        if old.deleted is not None and not (revives or leaves):
            raise Refused(Refusal.NO_REVIVAL)
        if wanted.lists == frozenset() and switches.empty_lists_put_v3 == "400":
            raise Refused(Refusal.EMPTY_LISTS)
        if wanted.address is None and old.address and switches.put_omitted_email == "400":
            raise Refused(Refusal.ADDRESS_MISSING)
        if wanted.address is not None and wanted.address.lower() != old.address:
            self._refuse_taken(wanted.address)

    def _stays_deleted(self, old: Contact, wanted: Wanted) -> bool:
        return not wanted.lists and self._account.switches.deleted_unsubscribe == "stays_deleted"

    def _addressed(self, contact: Contact, wanted: Wanted) -> Contact:
        if wanted.address is None and self._account.switches.put_omitted_email == "keep":
            return contact
        address = wanted.address or ""
        return replace(contact, address=address.lower(), spelling=address)

    def _permitted(self, contact: Contact, wanted: Wanted) -> Contact:
        """Let the permission be what was sent, as far as a write may."""
        current = contact.permission_to_send
        wish = wanted.permission or self._left_out(current, wanted)
        if wish is Permission.UNSUBSCRIBED:
            return self._opted_out(contact, wanted)
        if wish is current:
            return contact
        if wish not in _SENDABLE:
            raise Refused(Refusal.WRONG_PERMISSION)
        if contact.opt_out is not None:
            return self._back(contact, wish, wanted.source)
        # A write confirms nothing: who is asked to confirm stays so.
        return contact if contact.awaiting else replace(contact, permission=wish)

    def _left_out(self, current: Permission, wanted: Wanted) -> Permission:
        keep = wanted.address is None or self._account.switches.put_omitted_permission == "keep"
        return current if keep or current is Permission.PENDING else Permission.IMPLICIT

    def _opted_out(self, contact: Contact, wanted: Wanted) -> Contact:
        """Note an opt-out; one by the contact outweighs one by the account, and is never weakened."""
        old = contact.opt_out
        if old is not None and (old.source is Source.CONTACT or wanted.source is Source.CUSTOMER):
            return replace(contact, opt_out=old if wanted.reason is None else replace(old, reason=wanted.reason))
        gone = OptOut(wanted.source, self._now(), wanted.reason or "")
        return replace(contact, opt_out=gone, awaiting=False, confirmed=False)

    def _back(self, contact: Contact, wish: Permission, source: Source) -> Contact:
        gone = contact.opt_out
        if gone is not None and gone.source is Source.CONTACT and source is Source.CUSTOMER:
            raise Refused(Refusal.OPTED_OUT)
        return replace(contact, opt_out=None, permission=wish, opt_in=OptIn(source, self._now()))

    def _on(self, contact: Contact, lists: frozenset[int], source: Source) -> Contact:
        """Set the memberships; who has opted out is on none, unless the switch lets lists survive that."""
        if contact.opt_out is not None and not self._account.switches.unsubscribed_keeps_lists:
            return replace(contact, memberships={})
        fresh = OptIn(source, self._now())
        return replace(contact, memberships={each: contact.memberships.get(each, fresh) for each in sorted(lists)})

    def _store(self, old: Contact, new: Contact, source: Source) -> Contact:
        lists_only = _same_but_lists(new, old)
        bump = not lists_only or self._account.switches.updated_bump_on_list_change
        if old.opt_out is None and new.opt_out is not None:
            bump = self._account.switches.updated_bump_on_opt_out
        updated = self._now() if bump else old.updated
        return self._account.put(replace(new, updated=updated, updated_by=source, version=old.version + 1))

    def _refuse_taken(self, address: str | None) -> None:
        taken = self._account.find((address or "").lower())
        if taken is not None:
            raise Refused(Refusal.ADDRESS_TAKEN, taken.uuid)

    def _now(self) -> datetime:
        return self._account.clock.now()


def _same_but_lists(one: Contact, other: Contact) -> bool:
    """Tell whether two states of a contact differ in lists at most; a blank field is no field."""
    alike = replace(one, memberships={}, fields=_filled(one))
    return alike == replace(other, memberships={}, fields=_filled(other))


def _filled(contact: Contact) -> dict[str, str]:
    return {name: text for name, text in contact.fields.items() if text}


def _somebody(contact: Contact) -> Contact:
    """Refuse a contact with neither name nor address nor number (§2.4)."""
    names = contact.fields.get("FirstName") or contact.fields.get("LastName")
    if not (names or contact.address or contact.profile.texting):
        raise Refused(Refusal.NOBODY)
    return contact
