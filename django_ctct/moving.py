"""Move an account from one wire to another: give lists and contacts the ids that they have on the new one.

The account at Constant Contact stays the same, so what the site wishes and what was last known of each person
stays true; only the names by which the two wires call them differ. ``plan_move`` compares, ``move`` writes our
own tables, and nothing is written to Constant Contact. The journal keeps its old ids: it tells what was sent.
It may import services, outbox, models, exceptions and types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TypeVar

from django.db import transaction

from .exceptions import CtctError
from .models import Account, Contact, ContactList, DatabaseNow, Hold, ListOptOut, RemoteMembership, WriteAttempt
from .services import Link
from .types import Collection, Outcome, RemoteList

__all__ = ["ContactMove", "Found", "ListMove", "Move", "MoveRefused", "move", "plan_move"]

#: The cross-reference takes so many ids at a time (v3 sheet §2.9); as many rows are written at a time.
AT_A_TIME = 500
_UNKNOWN = (Outcome.OPEN.value, Outcome.AMBIGUOUS.value)

Item = TypeVar("Item")


class MoveRefused(CtctError):
    """The account cannot be moved as it stands; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ListMove:
    """One list with an id of another wire, and its counterpart on the new one; None where none is certain."""

    row: ContactList
    to: RemoteList | None


class Found(StrEnum):
    """How a contact was found on the new wire."""

    BY_ID = "by_id"
    BY_ADDRESS = "by_address"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class ContactMove:
    """One contact with an id of another wire.

    Who is found nowhere may have another address over there by now: the row keeps its old id and is ``held`` for
    review, because a wish would make a second contact of the same person.
    """

    pk: int
    old: str
    email: str
    held: bool
    how: Found = Found.NOWHERE
    to: str = ""

    @property
    def is_done(self) -> bool:
        return self.how is Found.NOWHERE and self.held


@dataclass(frozen=True, slots=True)
class Move:
    """What a move would do. Lists and contacts that have an id of the new wire are not in it."""

    lists: tuple[ListMove, ...]
    contacts: tuple[ContactMove, ...]

    @property
    def lost(self) -> list[ContactList]:
        """Return the managed lists without a counterpart: a move with them would keep their members waiting."""
        return [one.row for one in self.lists if one.to is None and one.row.key is not None]

    @property
    def is_done(self) -> bool:
        return all(one.is_done for one in self.contacts) and all(one.to is None for one in self.lists)

    def count(self, how: Found) -> int:
        return sum(one.how is how for one in self.contacts)


def plan_move(link: Link) -> Move:
    """Compare our ids with those of the account's present backend. It writes nothing.

    The whole account is read once, because a cross-reference alone is not believed.
    """
    lists = tuple(_list_moves(link))
    return Move(lists, tuple(_contact_moves(link)))


def move(link: Link, planned: Move) -> None:
    """Give every list and contact its new id; wishes, opt-outs and what was last seen stay as they are.

    Safe to repeat: what was moved is not moved again. Raise ``MoveRefused``, with nothing changed, when a managed
    list has no counterpart, or while the end of a write is open: what it did is judged by the old ids.
    """
    if planned.lost:
        names = ", ".join(f"{row} ({row.key})" for row in planned.lost)
        raise MoveRefused(f"The new API has no such list for certain: {names}.")
    with transaction.atomic():
        _refuse_under_way(link.account)
        for one in planned.lists:
            if one.to is not None:
                _move_list(one.row, one.to.remote_id)
    for batch in _batches(planned.contacts, AT_A_TIME):
        with transaction.atomic():
            _move_contacts(link.account, batch)


# Lists


def _list_moves(link: Link) -> Iterator[ListMove]:
    """Pair lists by name. Where the cross-reference answers and says otherwise, a person has to look.

    It alone is not enough: that it knows v1's numbers, and not those of another API, is not documented (v3 §2.9).
    """
    rows = list(ContactList.objects.filter(account=link.account))
    old = [row for row in rows if not link.backend.is_own_id(row.remote_id)]
    if not old:
        return
    there = list(link.backend.lists())
    references = _references(link, Collection.LISTS, [row.remote_id for row in old])
    bound = {row.remote_id for row in rows if row.key is not None}
    named = {row.pk: _counterpart(row, there, references, bound) for row in old}
    rivals = Counter(one.remote_id for one in named.values() if one is not None)
    for row in old:
        to = named[row.pk]
        certain = to is not None and (rivals[to.remote_id] == 1 or row.remote_id in references)
        yield ListMove(row, to if certain else None)


def _counterpart(
    row: ContactList, there: Iterable[RemoteList], references: Mapping[str, str], bound: set[str]
) -> RemoteList | None:
    """Return the one list of that name, unless another id is told, or another key of ours has it."""
    found = list(islice((one for one in there if one.name == row.name), 2))
    if len(found) != 1 or references.get(row.remote_id, found[0].remote_id) != found[0].remote_id:
        return None
    return None if row.key is not None and found[0].remote_id in bound else found[0]


def _move_list(row: ContactList, remote_id: str) -> None:
    """Set the new id. Where a row has it already (the lists were read before the move), the two become one."""
    double = ContactList.objects.filter(account=row.account_id, remote_id=remote_id).first()
    kept = row
    if double is not None:
        kept, other = (double, row) if double.key is not None else (row, double)
        _merge(kept, other)
    ContactList.objects.filter(pk=kept.pk).update(remote_id=remote_id, missing_since=None)


def _merge(kept: ContactList, other: ContactList) -> None:
    """Let a row have what is known of its double, which goes. Of two opt-outs the later one stands."""
    mine = dict(ListOptOut.objects.filter(list=kept).values_list("contact_id", "at"))
    for one in ListOptOut.objects.filter(list=other, contact__list_opt_outs__list=kept):
        if one.at > mine[one.contact_id]:
            later = {"at": one.at, "seen_at": one.seen_at, "source": one.source}
            ListOptOut.objects.filter(list=kept, contact=one.contact_id).update(**later)
    there_too = (
        (ListOptOut, {"contact__list_opt_outs__list": kept}),
        (RemoteMembership, {"contact__remote_memberships__list": kept}),
    )
    for model, twice in there_too:
        double = list(model.objects.filter(list=other, **twice).values_list("pk", flat=True))
        for batch in _batches(double, AT_A_TIME):
            model.objects.filter(pk__in=batch).delete()
        model.objects.filter(list=other).update(list=kept)
    other.delete()


# Contacts


def _contact_moves(link: Link) -> Iterator[ContactMove]:
    """Find the contacts with an id of another wire: by the cross-reference first, by address those it leaves out.

    That it knows v1's numbers, and not those of another API, is not documented (v3 §2.9): other people's ids would be
    the worst of answers. So it is believed only where the addresses over there bear it out.
    """
    known = Contact.objects.filter(account=link.account, remote_id__isnull=False)
    old: list[ContactMove] = []
    taken: set[str] = set()
    for pk, remote_id, email, hold in known.values_list("pk", "remote_id", "email", "hold"):
        if link.backend.is_own_id(remote_id or ""):
            taken.add(remote_id or "")
        else:
            old.append(ContactMove(pk, remote_id or "", email, hold == Hold.REVIEW))
    if not old:
        return
    references = _references(link, Collection.CONTACTS, [one.old for one in old])
    homes = _homes(link, {one.email for one in old})
    found = dict(_by_reference(old, references, taken)) if _borne_out(old, references, homes) else {}
    found |= _by_address([one for one in old if one.pk not in found], homes, taken)
    yield from (found.get(one.pk, one) for one in old)


def _homes(link: Link, addresses: set[str]) -> dict[str, str]:
    """Return whose each of these addresses is over there, by id."""
    return {there.email: there.remote_id for there in link.backend.contacts() if there.email in addresses}


def _borne_out(old: Iterable[ContactMove], references: Mapping[str, str], homes: Mapping[str, str]) -> bool:
    """Say whether the cross-reference and the addresses mostly name the same people, of those whom both know."""
    both = [one for one in old if one.old in references and one.email in homes]
    return 2 * sum(references[one.old] == homes[one.email] for one in both) > len(both)


def _by_reference(
    old: Iterable[ContactMove], references: Mapping[str, str], taken: set[str]
) -> Iterator[tuple[int, ContactMove]]:
    """Pair by the cross-reference. An id that another row has tells that somebody's address was changed there."""
    for one in old:
        to = references.get(one.old)
        if to is not None and to not in taken:
            taken.add(to)
            yield one.pk, _found(one, Found.BY_ID, to)


def _by_address(
    left: Iterable[ContactMove], homes: Mapping[str, str], taken: set[str]
) -> Iterator[tuple[int, ContactMove]]:
    """Pair by address. Where another row has the id, it is taken from it at the next look."""
    for one in left:
        to = homes.get(one.email)
        if to is not None:
            free = to not in taken
            taken.add(to)
            yield one.pk, _found(one, Found.BY_ADDRESS, to if free else "")


def _found(one: ContactMove, how: Found, to: str) -> ContactMove:
    return ContactMove(one.pk, one.old, one.email, one.held, how, to)


def _move_contacts(account: Account, batch: Sequence[ContactMove]) -> None:
    """Set the new ids, where nobody has set one meanwhile, and hold for review who was found nowhere."""
    planned = {one.pk: one for one in batch}
    rows = Contact.objects.select_for_update().filter(account=account, pk__in=list(planned))
    still = [row for row in rows if row.remote_id == planned[row.pk].old]
    named = {row.pk: planned[row.pk].to or None for row in still if planned[row.pk].how is not Found.NOWHERE}
    meanwhile = Contact.objects.filter(account=account, remote_id__in=[to for to in named.values() if to])
    taken = set(meanwhile.values_list("remote_id", flat=True))
    moved = [row for row in still if row.pk in named]
    for row in moved:
        row.remote_id = None if named[row.pk] in taken else named[row.pk]
    Contact.objects.bulk_update(moved, ["remote_id"])
    _hold([row.pk for row in still if row.pk not in named])


def _hold(pks: Sequence[int]) -> None:
    """Hold those whom a member ever claimed; nobody writes to a stranger."""
    Contact.objects.filter(pk__in=pks, desired_gen__gt=0).exclude(hold=Hold.REVIEW).update(
        hold=Hold.REVIEW,
        due_at=None,
        error_code="renamed",
        error_text="Moved to another API: nobody has this address there, so this contact may have another one now.",
        error_at=DatabaseNow(),
    )


# Both


def _references(link: Link, collection: Collection, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for batch in _batches(ids, AT_A_TIME):
        found |= link.backend.new_ids(collection, batch)
    return found


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _refuse_under_way(account: Account) -> None:
    """The journal names lists by their old ids, and what may have landed is judged by it until it is read again."""
    if Contact.objects.filter(account=account, lease_until__gt=DatabaseNow()).exists():
        raise MoveRefused("Writes are under way. Stop the workers, and try again in 2 minutes.")
    unclear = WriteAttempt.objects.filter(contact__account=account, outcome__in=_UNKNOWN)
    if waiting := unclear.values("contact").distinct().count():
        raise MoveRefused(
            f"The last write of {waiting} contacts has no known end. Put the old BACKEND back, let the workers run "
            "until they were read again (some minutes; release those that are held), then move."
        )
