"""Compare a list at Constant Contact with what the site wants on it, person by person: before a campaign goes out.

The list is walked as it is now and the wishes are read from the tables, both in batches, so that memory does not
grow with them. It writes nothing, here or there, and judges by ``planning`` (through ``services.forecast``) who is
kept off on purpose. It may import verdict, services, models, exceptions, vault and types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice

from django.db.models import Q, QuerySet
from django.utils.functional import cached_property

from . import services, vault
from .exceptions import ListNotBound
from .models import (
    Account,
    Contact,
    ContactList,
    DatabaseNow,
    FormerAddress,
    ListOptOut,
    Membership,
    RemoteMembership,
    Suppression,
    SyncState,
)
from .planning import Update
from .services import Link
from .types import ContactSummary, RemoteAddition, normalise_address
from .verdict.words import state_of, why

__all__ = ["Count", "Difference", "Kind", "Reason", "bound_list", "compare"]

#: Contacts whose rows are read at once.
BATCH = 500


class Kind(StrEnum):
    """On which side somebody is too many."""

    MISSING = "missing"  # wanted, and not on the list
    EXTRA = "extra"  # on the list, and not wanted there


class Reason(StrEnum):
    """Why somebody is missing or extra, as far as the tables tell."""

    WAITS = "waits"  # the change is under way
    FAILED = "failed"
    GONE = "gone"  # was there when last looked at
    CHANGED = "changed"  # the site has changed it since the list was begun to be read
    UNKNOWN = "unknown"
    UNWANTED = "unwanted"  # no rule wants her there
    ADDED = "added"  # likewise, and somebody added her over there
    RULED_OUT = "ruled_out"  # a rule wants her there, and she has left it or opted out


@dataclass(frozen=True, slots=True)
class Difference:
    """One person who is on one side only. ``state`` says in words how it stands with her; it may be empty."""

    kind: Kind
    reason: Reason
    email: str
    state: str = ""


@dataclass(slots=True)
class Count:
    """How many there are of each kind; it grows while the differences are read.

    ``strangers`` are on the list and no members of the site: lists have subscribers of their own. ``kept`` are
    members whom somebody added over there, and whom the list's policy lets stand. ``withheld`` are wanted, and stay
    off on purpose, because they have opted out or left.
    """

    on_list: int = 0
    wanted: int = 0
    right: int = 0
    strangers: int = 0
    kept: int = 0
    withheld: int = 0
    missing: int = 0
    extra: int = 0

    @property
    def is_exact(self) -> bool:
        return not (self.missing or self.extra)


def bound_list(account: Account, key: str) -> ContactList:
    """Return the list of a key. Raise ``ListNotBound`` where there is none."""
    row = ContactList.objects.filter(account=account, key=key).first()
    if row is None:
        raise ListNotBound(frozenset({key}))
    return row


def compare(
    link: Link, one: ContactList, count: Count, *, watch: Callable[[], None] = lambda: None
) -> Iterator[Difference]:
    """Yield who is on one side only: first those whom the list has too many, then those whom it lacks.

    ``count`` grows meanwhile; ``watch`` is called for each who is on the list.
    """
    comparison = _Comparison(one, count, _now(link.account), _Seen())
    members = _watched(link.backend.members(one.remote_id), watch)
    while batch := list(islice(members, BATCH)):
        yield from comparison.present(batch)
    yield from comparison.missing()


def _watched(members: Iterable[ContactSummary], watch: Callable[[], None]) -> Iterator[ContactSummary]:
    for one in members:
        watch()
        yield one


class _Seen:
    """Which contacts the list has: one bit for each, so that 100,000 of them take little."""

    def __init__(self) -> None:
        self._pages: dict[int, int] = {}

    def add(self, contact_id: int) -> None:
        page, bit = divmod(contact_id, 1024)
        self._pages[page] = self._pages.get(page, 0) | 1 << bit

    def __contains__(self, contact_id: int) -> bool:
        page, bit = divmod(contact_id, 1024)
        return bool(self._pages.get(page, 0) >> bit & 1)


@dataclass(frozen=True)
class _Comparison:
    one: ContactList
    count: Count
    begun: datetime
    seen: _Seen

    def present(self, batch: list[ContactSummary]) -> Iterator[Difference]:
        """Judge some of those who are on the list."""
        emails = {normalise_address(member.email) for member in batch}
        self.count.on_list += len(emails)
        contacts = [row for row in self._contacts().filter(email__in=emails) if row.email in emails]
        wanted, barred = self._wanted(contacts), self._barred(contacts)
        self.count.strangers += len(emails) - len(contacts)
        for contact in contacts:
            self.seen.add(contact.pk)
            if contact.pk in barred:
                yield self._too_many(Reason.RULED_OUT, contact)
            elif contact.pk in wanted:
                self.count.right += 1
            elif contact.claimed:
                yield from self._unwanted(contact)
            else:
                self.count.strangers += 1

    def _unwanted(self, contact: Contact) -> Iterator[Difference]:
        known = RemoteMembership.objects.filter(contact=contact, list=self.one).first()
        added = known is None or known.foreign
        if added and self._is_kept(contact, known):
            self.count.kept += 1
        else:
            yield self._too_many(Reason.ADDED if added else Reason.UNWANTED, contact)

    def _too_many(self, reason: Reason, contact: Contact) -> Difference:
        self.count.extra += 1
        return self._difference(Kind.EXTRA, reason, contact)

    def _is_kept(self, contact: Contact, known: RemoteMembership | None) -> bool:
        if self.one.on_remote_addition != RemoteAddition.KEEP.value:
            return False
        plan = services.forecast(contact.pk).plan
        return known is None or not (isinstance(plan, Update) and self.one.remote_id in plan.removes)

    def missing(self) -> Iterator[Difference]:
        """Judge those who are wanted and were not on the list."""
        wanted, last = Membership.objects.filter(key=self.one.key).values("contact"), 0
        while batch := list(self._contacts().filter(pk__in=wanted, pk__gt=last).order_by("pk")[:BATCH]):
            last = batch[-1].pk
            self.count.wanted += len(batch)
            lacking = [one for one in batch if one.pk not in self.seen]
            barred = self._barred(lacking)
            self.count.withheld += len(barred)
            for contact in lacking:
                if contact.pk not in barred:
                    self.count.missing += 1
                    yield self._difference(Kind.MISSING, self._why_missing(contact), contact)

    def _why_missing(self, contact: Contact) -> Reason:
        match state_of(contact):
            case SyncState.PENDING:
                return Reason.WAITS
            case SyncState.FAILED:
                return Reason.FAILED
        if contact.synced_at is not None and contact.synced_at >= self.begun:
            return Reason.CHANGED
        known = RemoteMembership.objects.filter(contact=contact, list=self.one).exists()
        return Reason.GONE if known else Reason.UNKNOWN

    def _difference(self, kind: Kind, reason: Reason, contact: Contact) -> Difference:
        return Difference(kind, reason, contact.email, why(contact))

    def _contacts(self) -> QuerySet[Contact]:
        return Contact.objects.with_state().filter(account_id=self.one.account_id).select_related("account")

    def _wanted(self, contacts: Iterable[Contact]) -> set[int]:
        wishes = Membership.objects.filter(contact__in=contacts, key=self.one.key)
        return set(wishes.values_list("contact_id", flat=True))

    def _barred(self, contacts: list[Contact]) -> set[int]:
        """Return who stays off the list by her own word, or by staff's, whatever the rules say."""
        return {pk for pk in self._perhaps_barred(contacts) if self._is_barred(pk)}

    def _is_barred(self, contact_id: int) -> bool:
        seen = services.forecast(contact_id)
        left_unwanted = seen.local.opt_outs.lists.keys() - seen.local.desired.lists
        return self.one.remote_id in seen.plan.withheld or self.one.remote_id in left_unwanted

    def _perhaps_barred(self, contacts: list[Contact]) -> set[int]:
        """Return about whom there is any word at all: of them alone the whole books are read."""
        gone = self._erased(contacts) if self._remembers_erased else set()
        left = ListOptOut.objects.filter(contact__in=contacts, list=self.one)
        found = {one.pk for one in contacts if one.opted_out_at is not None}
        found |= set(left.values_list("contact_id", flat=True))
        found |= set(FormerAddress.objects.filter(contact__in=contacts).values_list("contact_id", flat=True))
        return found | gone

    @cached_property
    def _remembers_erased(self) -> bool:
        return Suppression.objects.filter(account_id=self.one.account_id).exists()

    def _erased(self, contacts: list[Contact]) -> set[int]:
        names = {name: one.pk for one in contacts for name in vault.address_hashes(one.email)}
        gone = Suppression.objects.filter(account_id=self.one.account_id, address_hash__in=list(names))
        return {names[name] for name in gone.values_list("address_hash", flat=True)}


def _now(account: Account) -> datetime:
    row = Account.objects.filter(Q(pk=account.pk)).annotate(moment=DatabaseNow()).get()
    moment: datetime = row.moment
    return moment
