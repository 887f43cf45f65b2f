"""Two members share an address, and one of them moves: each case of docs/addresses.md, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from django_ctct import acts, vault
from django_ctct.models import Account, Contact, DatabaseNow, ListOptOut, Suppression
from tests.account import UNMANAGED, Sandbox, contact, make_due, run_due
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA, NEW = "ada@example.com", "augusta@example.com"
FREE, LETTER, SUSTAINERS = "Free members", "Newsletter", "Sustainers"
NOBODY: frozenset[str] = frozenset()
OUT = "Do Not Mail"

#: What Bob, who stays, is wished on.
ON_NOTHING = {"is_free": False}
ON_SUSTAINERS = {"is_free": False, "is_sustainer": True}


def nothing(box: Sandbox) -> None:
    pass


def unsubscribes_there(box: Sandbox) -> None:
    box.act(ADA, "unsubscribe")


def leaves_there(box: Sandbox) -> None:
    box.act(ADA, "leave", list=LETTER)


def leaves_here(box: Sandbox) -> None:
    acts.leave_list(ADA, "newsletter")


def opts_out_here(box: Sandbox) -> None:
    acts.opt_out(contact(ADA))


def knows_the_new_one(box: Sandbox) -> None:
    box.add(NEW, UNMANAGED, SUSTAINERS)


def has_lost_the_new_one(box: Sandbox) -> None:
    box.add(NEW, FREE)
    box.act(NEW, "unsubscribe")


def erased_the_new_one(box: Sandbox) -> None:
    account = Account.objects.for_alias("default")
    name = vault.address_hash(NEW)
    Suppression.objects.create(account=account, address_hash=name, at=DatabaseNow(), source="site")


@dataclass(frozen=True)
class Case:
    """``old`` and ``new`` are the lists in the end over there, or ``OUT``; None: there is no such contact."""

    name: str
    before: Callable[[Sandbox], None]
    old: Any
    new: Any
    bob: dict[str, bool] = field(default_factory=lambda: ON_SUSTAINERS)
    heard: bool = True
    renamed: bool = False

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("one moves", nothing, {SUSTAINERS, UNMANAGED}, {FREE, LETTER}),
    Case("the other is wished on no list", nothing, None, {FREE, LETTER, UNMANAGED}, ON_NOTHING, renamed=True),
    Case("on no list, left here", leaves_here, None, {FREE, UNMANAGED}, ON_NOTHING, renamed=True),
    Case("on no list, left there", leaves_there, None, {FREE, UNMANAGED}, ON_NOTHING, renamed=True),
    Case("on no list, opted out here", opts_out_here, OUT, None, ON_NOTHING),
    Case("on no list, opted out there", unsubscribes_there, OUT, None, ON_NOTHING),
    Case("on no list, new known", knows_the_new_one, {UNMANAGED}, {FREE, LETTER, UNMANAGED}, ON_NOTHING),
    Case("new known", knows_the_new_one, {SUSTAINERS, UNMANAGED}, {FREE, LETTER, UNMANAGED}),
    Case("new opted out", has_lost_the_new_one, {SUSTAINERS, UNMANAGED}, OUT),
    Case("new erased", erased_the_new_one, {SUSTAINERS, UNMANAGED}, None),
    Case("left here", leaves_here, {SUSTAINERS, UNMANAGED}, {FREE}),
    Case("left here, not sent yet", leaves_here, {SUSTAINERS, UNMANAGED}, {FREE}, heard=False),
    Case("left there", leaves_there, {SUSTAINERS, UNMANAGED}, {FREE}),
    Case("left there, not heard of yet", leaves_there, {SUSTAINERS, UNMANAGED}, {FREE}, heard=False),
    Case("opted out here", opts_out_here, OUT, None),
    Case("opted out here, not sent yet", opts_out_here, OUT, None, heard=False),
    Case("opted out there", unsubscribes_there, OUT, None),
    Case("opted out there, not heard of yet", unsubscribes_there, OUT, None, heard=False),
]


def settle() -> None:
    for _ in range(4):
        run_due()
        make_due()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_of_two_moves(connected: Sandbox, case: Case) -> None:
    connected.add(ADA, UNMANAGED)
    mover = Member.objects.create(email=ADA, first_name="Ada", wants_newsletter=True)
    Member.objects.create(email=ADA, first_name="Bob", **case.bob)
    run_due()
    hers = connected.contacts()[ADA]["id"]
    case.before(connected)
    if case.heard:
        acts.sync_now(Contact.objects.filter(email=ADA))
        settle()
    mover.email = NEW
    mover.save()
    settle()
    there = connected.contacts()
    assert {"old": _shown(there.get(ADA)), "new": _shown(there.get(NEW))} == {"old": case.old, "new": case.new}
    assert (NEW in there and there[NEW]["id"] == hers) is case.renamed
    _is_quiet(connected)


def test_who_left_and_moves_leaves_the_other_off_that_list_too(connected: Sandbox) -> None:
    """Nobody can tell which of the two left, so it counts for both."""
    mover = Member.objects.create(email=ADA, wants_newsletter=True)
    Member.objects.create(email=ADA, first_name="Bob", wants_newsletter=True)
    run_due()
    acts.leave_list(ADA, "newsletter")
    mover.email = NEW
    mover.save()
    settle()
    assert (connected.lists_of(ADA), connected.lists_of(NEW)) == ({FREE}, {FREE})
    assert ListOptOut.objects.filter(source="site").count() == 2
    _is_quiet(connected)


def _shown(one: Any) -> Any:
    if one is None:
        return None
    return OUT if one["status"] == OUT else set(one["lists"])


def _is_quiet(box: Sandbox) -> None:
    """See that all is done: looked at again, nothing is written."""
    box.forget()
    acts.sync_now(Contact.objects.filter(desired_gen__gt=0))
    settle()
    assert box.writes() == []
