"""The local half: what the site wants of its members, written as rows, in the site's own transaction.

A mirror writes the difference between the wish and the rows, marks what changed, and knows no wire. Saving a
member whose wish is as before writes nothing. It may import adapters, models, addresses, outbox and types only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from . import addresses, outbox
from .adapters import MemberAdapter
from .models import Account, Contact, Membership
from .types import DesiredContact, Priority

__all__ = ["LONGEST_ADDRESS", "Mirrored", "forget", "mirror", "mirror_afresh", "mirror_all"]

#: A longer address cannot be kept, let alone sent. A shorter one that is wrong is kept and shown to staff.
LONGEST_ADDRESS = 254
_NAMES = ("first_name", "last_name")
_GONE = DesiredContact(email="")


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The outcome for one member: the contacts whose wish changed, and what stood in the way.

    ``error`` is the kind of error that the site's rules ran into; her old wish stands then.
    """

    member_key: str
    contact_ids: frozenset[int] = frozenset()
    address_too_long: bool = False
    error: str = ""

    def __bool__(self) -> bool:
        return bool(self.contact_ids)


def mirror(adapter: MemberAdapter, member: Any) -> Mirrored:
    """Bring a member's rows to what the site wants now. One read or two, and writes only where something differs."""
    wish = _Wish.of(adapter, member)
    rows = _rows(wish)
    return _mirror(adapter, member, wish, _find(wish, rows), rows)


def mirror_afresh(adapter: MemberAdapter, member: Any) -> Mirrored:
    """Mirror a member from the database alone, under her row's lock.

    For changes of other tables: the instance in hand may hold what they were, and two of them may meet.
    """
    with transaction.atomic():
        wish = _read_again(adapter, member, _Wish(adapter.account, adapter.member_key(member), _GONE))
        rows = _rows(wish)
        touched = _write(wish, _find(wish, rows), rows)
    return Mirrored(wish.member_key, touched, wish.address_too_long)


def forget(adapter: MemberAdapter, member: Any) -> Mirrored:
    """Withdraw all wishes of a member who is no more."""
    wish = _Wish(adapter.account, adapter.member_key(member), _GONE)
    with transaction.atomic():
        return Mirrored(wish.member_key, _write(wish, None, _rows(wish)))


def mirror_all(adapter: MemberAdapter, *, chunk: int = 500) -> Iterator[Mirrored]:
    """Mirror every member, then forget those who are gone; yield after each, for progress.

    It finds what sends no signal: ``update()``, bulk writes, raw SQL and dates that pass. Where nothing differs
    it takes two reads for each ``chunk`` of members.
    """
    seen: set[str] = set()
    known = _known(adapter)  # before the members are read: who joins meanwhile has rows and is not among them
    members = adapter.members().iterator(chunk_size=chunk)
    while batch := list(islice(members, chunk)):
        for outcome in _mirror_batch(adapter, batch):
            seen.add(outcome.member_key)
            yield outcome
    for member_key in sorted(known - seen):
        wish = _Wish(adapter.account, member_key, _GONE)
        with transaction.atomic():
            touched = _write(wish, None, _rows(wish))
        yield Mirrored(member_key, touched)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the site wants for one member in one account."""

    alias: str
    member_key: str
    desired: DesiredContact
    address_too_long: bool = False

    @classmethod
    def of(cls, adapter: MemberAdapter, member: Any) -> _Wish:
        desired, key = adapter.desired(member), adapter.member_key(member)
        if len(desired.email) > LONGEST_ADDRESS:
            return cls(adapter.account, key, _GONE, address_too_long=True)
        return cls(adapter.account, key, desired)


def _mirror(
    adapter: MemberAdapter, member: Any, wish: _Wish, contact: Contact | None, rows: list[Membership]
) -> Mirrored:
    touched: frozenset[int] = frozenset()
    if _difference(wish, contact, rows):
        with transaction.atomic():
            wish = _read_again(adapter, member, wish)
            rows = _rows(wish)
            touched = _write(wish, _find(wish, rows), rows)
    return Mirrored(wish.member_key, touched, wish.address_too_long)


def _read_again(adapter: MemberAdapter, member: Any, wish: _Wish) -> _Wish:
    """Lock the member's row and take her wish from it.

    The instance in hand may be stale: a login that saves ``last_login`` on a user read a minute ago must not
    bring back the wish of a minute ago. SQLite has no row locks, and one writer at a time.
    """
    fresh = adapter.model._base_manager.select_for_update().filter(pk=member.pk).first()
    if fresh is None:
        return _Wish(wish.alias, wish.member_key, _GONE)
    return _Wish.of(adapter, fresh)


def _mirror_batch(adapter: MemberAdapter, members: Iterable[Any]) -> Iterator[Mirrored]:
    wishes: list[tuple[Any, _Wish]] = []
    for member in members:
        try:
            wishes.append((member, _Wish.of(adapter, member)))
        except Exception as error:  # noqa: BLE001 - the site's own rules: one member's trouble is not the others'
            yield Mirrored(adapter.member_key(member), error=type(error).__name__)
    contacts = _contacts(adapter.account, {wish.desired.email for _, wish in wishes} - {""})
    rows = _rows_by_member(adapter.account, [wish.member_key for _, wish in wishes])
    for member, wish in wishes:
        contact = contacts.get(wish.desired.email)
        try:
            yield _mirror(adapter, member, wish, contact, rows.get(wish.member_key, []))
        except Exception as error:  # noqa: BLE001 - as above
            yield Mirrored(wish.member_key, error=type(error).__name__)


def _contacts(alias: str, emails: set[str]) -> dict[str, Contact]:
    # Keyed by the address as it is kept: a database may compare without regard to accents, and two people
    # must not become one.
    return {one.email: one for one in Contact.objects.filter(account__alias=alias, email__in=emails)}


def _rows_by_member(alias: str, member_keys: list[str]) -> dict[str, list[Membership]]:
    found: dict[str, list[Membership]] = {}
    rows = Membership.with_idle.select_related("contact")
    for row in rows.filter(member_key__in=member_keys, contact__account__alias=alias):
        found.setdefault(row.member_key, []).append(row)
    return found


def _find(wish: _Wish, rows: Iterable[Membership]) -> Contact | None:
    """Return the contact of the wish's address; mostly one of the member's rows has brought it along."""
    email = wish.desired.email
    if not email:
        return None
    known = (row.contact for row in rows if row.contact.email == email)
    return next(known, None) or _contacts(wish.alias, {email}).get(email)


def _rows(wish: _Wish) -> list[Membership]:
    return _rows_by_member(wish.alias, [wish.member_key]).get(wish.member_key, [])


def _known(adapter: MemberAdapter) -> set[str]:
    prefix = f"{adapter.model._meta.label_lower}:"
    kept = Membership.with_idle.filter(contact__account__alias=adapter.account, member_key__startswith=prefix)
    return set(kept.values_list("member_key", flat=True).distinct())


@dataclass(frozen=True, slots=True)
class _Difference:
    """What has to be written for one member. ``claim``: no member had claimed this address yet."""

    gone: tuple[Membership, ...]
    new_keys: frozenset[str]
    profile: bool
    claim: bool

    def __bool__(self) -> bool:
        return bool(self.gone or self.new_keys or self.profile or self.claim)


def _difference(wish: _Wish, contact: Contact | None, rows: list[Membership]) -> _Difference:
    desired, keys = wish.desired, _keys(wish, contact)
    here = [row for row in rows if contact is not None and row.contact_id == contact.pk and row.key in keys]
    return _Difference(
        gone=tuple(row for row in rows if row not in here),
        new_keys=keys - {row.key for row in here} if desired.email else frozenset(),
        profile=contact is not None and _profile_differs(contact, wish),
        claim=bool(desired.email) and (contact is None or not contact.claimed),
    )


def _keys(wish: _Wish, contact: Contact | None) -> frozenset[str]:
    """Return what is to be kept of her at an address: her lists, or that she shares it and is wished on none."""
    shares = contact is not None and contact.profile_from not in ("", wish.member_key)
    return wish.desired.lists or frozenset({Membership.NO_LIST} if shares else ())


def _profile_differs(contact: Contact, wish: _Wish) -> bool:
    if contact.profile_from not in ("", wish.member_key):
        return False  # Two members share the address: the first one's profile stands, so they never take turns.
    return contact.profile_from != wish.member_key or contact.profile != dict(wish.desired.fields)


def _write(wish: _Wish, contact: Contact | None, rows: list[Membership]) -> frozenset[int]:
    left = _left(wish, contact, rows)
    renamed = contact is None and _renamed(wish, left)
    if renamed:
        contact, rows = left[0], _rows(wish)
    change = _difference(wish, contact, rows)
    here = contact.pk if contact else None
    # Who shares an address and is wished on a list there at last has left nothing.
    lost = {row.contact_id for row in change.gone if row.key != Membership.NO_LIST or row.contact_id != here}
    Membership.with_idle.filter(pk__in=[row.pk for row in change.gone]).delete()
    _give_up_profiles(wish, contact)
    gained = _gain(wish, contact, change, () if renamed else left, rows)
    if renamed:
        lost.add(left[0].pk)  # as urgent as leaving: mail still goes to the old address
    outbox.mark(lost, Priority.REMOVAL)
    outbox.mark(gained - lost, Priority.ADD)
    if lost or gained:
        outbox.wake(wish.alias)
    return frozenset(lost | gained)


def _left(wish: _Wish, contact: Contact | None, rows: Iterable[Membership]) -> list[Contact]:
    """Return the contacts that a member with an address had until now under other ones: one, or none."""
    email = wish.desired.email
    if not email or (contact is not None and contact.profile_from == wish.member_key):
        return []
    hers = Q(pk__in={row.contact_id for row in rows}) | Q(profile_from=wish.member_key)
    found = Contact.objects.filter(hers, account__alias=wish.alias).order_by("pk")
    return [one for one in found if one.email != email]


def _renamed(wish: _Wish, left: Sequence[Contact]) -> bool:
    """Give the one contact that she had, and that is hers alone, her new address.

    Not where it has opted out: that stays with the old address, and counts for the new one too. Nor where nobody
    knows yet whose it is over there.
    """
    if len(left) != 1:
        return False
    held = Contact.objects.select_for_update().get(pk=left[0].pk)
    alone = held.claimed and held.profile_from == wish.member_key and not _others(held, wish).exists()
    if held.email != left[0].email or not alone or addresses.is_opted_out(held) or not addresses.is_known(held):
        return False
    if not _is_free(wish, held) or not addresses.rename(held, wish.desired.email):
        return False
    left[0].email = held.email
    return True


def _others(contact: Contact, wish: _Wish) -> QuerySet[Membership]:
    return Membership.objects.filter(contact=contact).exclude(member_key=wish.member_key)


def _is_free(wish: _Wish, contact: Contact) -> bool:
    """Say whether her new address is not one that another contact is about to give up."""
    moved = Contact.objects.renamed_from(contact.account_id, wish.desired.email)
    return moved is None or moved.pk == contact.pk


def _gain(
    wish: _Wish, contact: Contact | None, change: _Difference, left: Sequence[Contact], rows: Iterable[Membership]
) -> set[int]:
    if not (change.new_keys or change.profile or change.claim or left):
        return set()
    contact = _held(wish, contact)
    if not contact.claimed:
        Contact.objects.filter(pk=contact.pk).update(claimed=True)
    if contact.profile_from in ("", wish.member_key):
        _write_profile(contact, wish)
    Membership.objects.bulk_create(
        [Membership(contact=contact, key=key, member_key=wish.member_key) for key in sorted(change.new_keys)],
        ignore_conflicts=True,
    )
    wished = {row.contact_id for row in rows if row.key != Membership.NO_LIST}
    for old in left:
        stayed = old.pk not in wished and old.profile_from != wish.member_key and addresses.had(old, contact.email)
        if stayed:  # whom she shared it with has taken the contact along to another address
            addresses.copy_opt_outs(old.pk, contact.pk)
        else:
            addresses.follow(old, contact)
    return {contact.pk}


def _held(wish: _Wish, contact: Contact | None) -> Contact:
    """Lock the row of the wish's address: nobody gives it another address while she joins."""
    email = wish.desired.email
    if contact is not None:
        held = Contact.objects.select_for_update().filter(pk=contact.pk, email=email).first()
        if held is not None:
            return held
    account = Account.objects.for_alias(wish.alias)
    moved = Contact.objects.renamed_from(account.pk, email)
    if moved is not None:
        # Somebody is there again, so the contact over there stays with this address.
        addresses.part(moved, email)
    return Contact.objects.select_for_update().get(pk=Contact.objects.for_address(account, email).pk)


def _write_profile(contact: Contact, wish: _Wish) -> None:
    """Write the fields that the site owns. The names stand in columns too, cut, for the admin's search."""
    fields = dict(wish.desired.fields)
    names = {name: fields.get(name, "")[:150] for name in _NAMES}
    Contact.objects.filter(pk=contact.pk).update(**names, profile=fields, profile_from=wish.member_key)


def _give_up_profiles(wish: _Wish, contact: Contact | None) -> None:
    """Let another member's profile take over at an address that this one has left. She has one profile at most."""
    if contact is not None and contact.profile_from == wish.member_key:
        return
    elsewhere = Contact.objects.filter(account__alias=wish.alias, profile_from=wish.member_key)
    elsewhere.exclude(pk=contact.pk if contact else 0).update(profile_from="")
