"""What would be done for everybody of an account, worked out from the tables: read before the first approval.

It is ``services.forecast`` for many. Who never opted out of anything, left nothing, kept her address and has no
write of unknown outcome, which is nearly everybody, is planned from a few reads for a whole batch; the others one by
one. No request
is made and nothing is written. Fields are not compared: what the tables know of them is only the wish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from django.db.models import QuerySet

from .. import conf, planning, services, tokens, vault
from ..exceptions import ConfigurationError
from ..models import (
    Account,
    Contact,
    ContactList,
    FormerAddress,
    Hold,
    ListOptOut,
    Membership,
    Refusal,
    RemoteMembership,
    Suppression,
    WriteAttempt,
)
from ..planning import Base, Create, Desired, ListPolicy, OptOut, OptOuts, Plan, Refuse, Update
from ..types import ContactStatus, Outcome, RemoteAddition, RemoteContact, RemoteRemoval, Subscription

__all__ = ["Foreseen", "Group", "ListCount", "Outlook", "foresee", "look_out"]

#: Contacts whose rows are read at once, and what is read of each.
BATCH = 500
_NEEDED = ("email", "claimed", "status", "remote_id", "opted_out_at", "opt_out_wanted", "hold")


class Group(StrEnum):
    """What would happen to a person."""

    JOINS = "joins"
    MOVES = "moves"  # joins some lists and leaves others
    LEAVES = "leaves"
    RENAMED = "renamed"  # has a new address, and her lists stay
    OPT_OUT = "opt_out"
    REFUSED = "refused"  # the site wants what she has ruled out
    WAITS = "waits"  # nothing can be sent for her until something is put right
    NOTHING = "nothing"


#: The groups for which something would be written.
CHANGES = frozenset({Group.JOINS, Group.MOVES, Group.LEAVES, Group.RENAMED, Group.OPT_OUT})


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would happen to one contact. Lists go by their remote ids; ``present`` is None where she is not there."""

    contact_id: int
    email: str
    group: Group
    plan: Plan
    wanted: frozenset[str]
    present: frozenset[str] | None
    status: str
    why: str = ""

    @property
    def adds(self) -> frozenset[str]:
        return self.plan.adds if isinstance(self.plan, (Create, Update)) else frozenset()

    @property
    def removes(self) -> frozenset[str]:
        return self.plan.removes if isinstance(self.plan, (Create, Update)) else frozenset()


@dataclass(slots=True)
class ListCount:
    """How many would join one list, leave it, stay on it because the site wants them, and stay off all the same."""

    joins: int = 0
    leaves: int = 0
    stays: int = 0
    stays_off: int = 0


@dataclass(slots=True)
class Outlook:
    """The sums, and of each group that means something the first few people."""

    groups: Counter[Group] = field(default_factory=Counter)
    lists: dict[str, ListCount] = field(default_factory=dict)
    people: dict[Group, list[Foreseen]] = field(default_factory=dict)

    @property
    def looked_at(self) -> int:
        return self.groups.total()

    @property
    def changes(self) -> int:
        """Return for how many contacts something would be written."""
        return sum(self.groups[one] for one in CHANGES)

    def add(self, one: Foreseen, keep: int) -> None:
        """Count one contact, and keep her name where fewer than ``keep`` are known of her group."""
        self.groups[one.group] += 1
        shown = self.people.setdefault(one.group, [])
        if one.group is not Group.NOTHING and len(shown) < keep:
            shown.append(one)
        if one.group is not Group.WAITS:
            self._count_lists(one)

    def _count_lists(self, one: Foreseen) -> None:
        for remote_id in one.adds:
            self._list(remote_id).joins += 1
        for remote_id in one.removes:
            self._list(remote_id).leaves += 1
        for remote_id in one.plan.withheld:
            self._list(remote_id).stays_off += 1
        for remote_id in (one.wanted & (one.present or frozenset())) - one.removes - one.plan.withheld:
            self._list(remote_id).stays += 1

    def _list(self, remote_id: str) -> ListCount:
        return self.lists.setdefault(remote_id, ListCount())


def look_out(account: Account, *, keep: int = 0, watch: Callable[[], None] = lambda: None) -> Outlook:
    """Return what would be done for all contacts of the account's members. ``watch`` is called for each."""
    found = Outlook(lists={one.remote_id: ListCount() for one in _bound(account)})
    for one in foresee(account):
        found.add(one, keep)
        watch()
    return found


def foresee(account: Account) -> Iterator[Foreseen]:
    """Yield what would happen to each contact of a member, in memory that does not grow with their number."""
    books, last = _Books.of(account), 0
    ours = Contact.objects.filter(account=account, desired_gen__gt=0).only(*_NEEDED).order_by("pk")
    while batch := list(ours.filter(pk__gt=last)[:BATCH]):
        yield from books.foresee(batch)
        last = batch[-1].pk


@dataclass(frozen=True, slots=True)
class _Books:
    """What is the same for all contacts of an account."""

    account: Account
    bound: Mapping[str, str]
    gone: frozenset[str]
    policies: Mapping[str, ListPolicy]
    remembers_erased: bool
    problem: Callable[[str], str]

    @classmethod
    def of(cls, account: Account) -> _Books:
        keyed = list(_keyed(account))
        lists = [one for one in keyed if one.missing_since is None]
        return cls(
            account=account,
            bound={one.key or "": one.remote_id for one in lists},
            gone=frozenset(one.key or "" for one in keyed if one.missing_since is not None),
            policies={
                one.remote_id: ListPolicy(RemoteRemoval(one.on_remote_removal), RemoteAddition(one.on_remote_addition))
                for one in lists
            },
            remembers_erased=Suppression.objects.filter(account=account).exists(),
            problem=_address_check(account),
        )

    def foresee(self, contacts: list[Contact]) -> Iterator[Foreseen]:
        span = _span(contacts)
        wishes = _sets(Membership.objects.filter(**span).values_list("contact_id", "key"))
        there = RemoteMembership.objects.filter(**span).values_list("contact_id", "list__remote_id")
        present, foreign = _sets(there), _sets(there.filter(foreign=True))
        special = self._special(contacts)
        for one in contacts:
            keys = wishes.get(one.pk, frozenset())
            if one.pk in special:
                plan = services.forecast(one.pk).plan
            else:
                base = Base(lists=present.get(one.pk, frozenset()), foreign=foreign.get(one.pk, frozenset()))
                plan = self._plan(one, self._lists(keys), base)
            yield self._foreseen(one, keys, present.get(one.pk, frozenset()), plan)

    def _special(self, contacts: list[Contact]) -> set[int]:
        """Return whom more than the wish and the base decides about."""
        span = _span(contacts)
        unclear = WriteAttempt.objects.filter(outcome__in=(Outcome.OPEN.value, Outcome.AMBIGUOUS.value))
        found = set(ListOptOut.objects.filter(**span).values_list("contact_id", flat=True))
        found |= set(unclear.filter(**span).values_list("contact_id", flat=True))
        found |= set(FormerAddress.objects.filter(**span).values_list("contact_id", flat=True))
        found |= {one.pk for one in contacts if one.opted_out_at or one.opt_out_wanted or not one.claimed}
        found |= {one.pk for one in contacts if one.status == ContactStatus.DO_NOT_MAIL.value}
        return found | (self._erased(contacts) if self.remembers_erased else set())

    def _erased(self, contacts: list[Contact]) -> set[int]:
        names = {name: one.pk for one in contacts for name in vault.address_hashes(one.email)}
        gone = Suppression.objects.filter(account=self.account, address_hash__in=list(names))
        return {names[name] for name in gone.values_list("address_hash", flat=True)}

    def _lists(self, keys: Iterable[str]) -> frozenset[str]:
        return frozenset(self.bound[key] for key in keys if key in self.bound)

    def _plan(self, contact: Contact, wanted: frozenset[str], base: Base) -> Plan:
        existing = None
        if contact.remote_id is not None and contact.status:
            lists = dict.fromkeys(sorted(base.lists), Subscription())
            existing = RemoteContact(contact.remote_id, contact.email, ContactStatus(contact.status), lists)
        return planning.plan(Desired(lists=wanted, address=contact.email), base, existing, OptOuts(), {}, self.policies)

    def _foreseen(self, contact: Contact, keys: frozenset[str], present: frozenset[str], plan: Plan) -> Foreseen:
        why = self._why_waits(contact, keys, plan)
        return Foreseen(
            contact_id=contact.pk,
            email=contact.email,
            group=Group.WAITS if why else _group(plan),
            plan=plan,
            wanted=self._lists(keys),
            present=present if contact.remote_id is not None and contact.status else None,
            status=contact.get_status_display(),
            why=why,
        )

    def _why_waits(self, contact: Contact, keys: frozenset[str], plan: Plan) -> str:
        """Say what stands in the way; empty when nothing does. A list that is gone does not keep her off the others."""
        if unbound := sorted(keys - self.bound.keys() - self.gone):
            return f"{Hold.UNBOUND.label}: {', '.join(unbound)}"
        if contact.hold:
            return str(Hold(contact.hold).label)
        if (gone := sorted(keys & self.gone)) and _group(plan) is Group.NOTHING:
            return f"{Refusal.MISSING.label}: {', '.join(gone)}"
        return self.problem(contact.email)


def _keyed(account: Account) -> QuerySet[ContactList]:
    return ContactList.objects.filter(account=account, key__isnull=False)


def _bound(account: Account) -> QuerySet[ContactList]:
    """Return the lists that somebody can be put on: not those that are gone at Constant Contact."""
    return _keyed(account).filter(missing_since=None)


def _span(contacts: list[Contact]) -> dict[str, int]:
    """Return the condition for rows of a batch. What lies between its ids and is not in it does no harm."""
    return {"contact__gte": contacts[0].pk, "contact__lte": contacts[-1].pk}


def _sets(rows: Iterable[tuple[int, str]]) -> dict[int, frozenset[str]]:
    found: dict[int, set[str]] = {}
    for contact_id, name in rows:
        found.setdefault(contact_id, set()).add(name)
    return {contact_id: frozenset(names) for contact_id, names in found.items()}


def _address_check(account: Account) -> Callable[[str], str]:
    """Return what the account's wire says about addresses that it cannot send."""
    try:
        return tokens.wire(conf.account(account.alias)).email_problem
    except ConfigurationError:
        return lambda _email: ""


def _group(plan: Plan) -> Group:
    if isinstance(plan, OptOut):
        return Group.OPT_OUT
    if isinstance(plan, Refuse):
        return Group.REFUSED
    adds, removes = (plan.adds, plan.removes) if isinstance(plan, (Create, Update)) else (None, None)
    if adds and removes:
        return Group.MOVES
    if adds or removes:
        return Group.JOINS if adds else Group.LEAVES
    return Group.RENAMED if isinstance(plan, Update) and plan.address else Group.NOTHING
