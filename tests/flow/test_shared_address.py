"""Two members share an address, and one of them moves: each case of docs/addresses.md, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from django_ctct import acts, vault
from django_ctct.models import (
    Account,
    Contact,
    DatabaseNow,
    FormerAddress,
    ListOptOut,
    Membership,
    PastAddress,
    Suppression,
)
from django_ctct.types import Priority
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


@dataclass(frozen=True)
class Idle:
    """Bob shares the address and is wished on no list. Whatever was opted out of there, he may have meant it."""

    name: str
    before: Callable[[Sandbox], None]
    new: Any
    heard: bool = True

    def __str__(self) -> str:
        return self.name


IDLE = [
    Idle("nothing", nothing, {FREE, LETTER}),
    Idle("left here", leaves_here, {FREE}),
    Idle("left there", leaves_there, {FREE}),
    Idle("left there, not heard of yet", leaves_there, {FREE}, heard=False),
    Idle("opted out here", opts_out_here, None),
    Idle("opted out here, not sent yet", opts_out_here, None, heard=False),
    Idle("opted out there", unsubscribes_there, None),
    Idle("opted out there, not heard of yet", unsubscribes_there, None, heard=False),
]


@pytest.fixture
def shared(connected: Sandbox) -> Sandbox:
    Member.objects.create(email=ADA, first_name="Ada", wants_newsletter=True)
    Member.objects.create(email=ADA, first_name="Bob", **ON_NOTHING)
    run_due()
    return connected


@pytest.mark.parametrize("case", IDLE, ids=str)
def test_who_is_wished_on_no_list_moves_and_is_wished_on_some_later(shared: Sandbox, case: Idle) -> None:
    hears(shared, case)
    bob = Member.objects.get(first_name="Bob")
    bob.email = NEW
    bob.save()
    wishes_now(bob)
    assert _shown(shared.contacts().get(NEW)) == case.new
    assert contact(NEW).list_opt_outs.exists() is (case.new == {FREE})
    _is_quiet(shared)


@pytest.mark.parametrize("case", IDLE, ids=str)
def test_the_other_moves_and_who_was_wished_on_no_list_is_wished_on_some_later(shared: Sandbox, case: Idle) -> None:
    hears(shared, case)
    ada, bob = Member.objects.get(first_name="Ada"), Member.objects.get(first_name="Bob")
    ada.email = NEW
    ada.save()
    wishes_now(bob)
    old = OUT if case.new is None else case.new
    assert _shown(shared.contacts().get(ADA)) == old
    assert not FormerAddress.objects.exists()
    assert not PastAddress.objects.filter(email=NEW).exists(), "nobody has left that one"
    _is_quiet(shared)


@dataclass(frozen=True)
class Vacated:
    """Ada moves away, and later Eve signs up with the address that Ada has given up."""

    name: str
    before: Callable[[Sandbox], None]
    eve: Any
    ada: Any
    sent: bool = True

    def __str__(self) -> str:
        return self.name


def opts_out_and_comes_back(box: Sandbox) -> None:
    acts.opt_out(contact(ADA))
    settle()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    settle()


VACATED = [
    Vacated("nothing", nothing, {FREE, LETTER}, {FREE, LETTER}),
    Vacated("left here", leaves_here, {FREE, LETTER}, {FREE}),
    Vacated("left here, and Eve is faster", leaves_here, {FREE}, {FREE}, sent=False),
    Vacated("left there", leaves_there, {FREE, LETTER}, {FREE}),
    Vacated("left there, and Eve is faster", leaves_there, {FREE}, {FREE}, sent=False),
    Vacated("opted out here", opts_out_here, OUT, None),
    Vacated("opted out here, and Eve is faster", opts_out_here, OUT, None, sent=False),
    Vacated("opted out there", unsubscribes_there, OUT, None),
    Vacated("opted out there, and Eve is faster", unsubscribes_there, OUT, None, sent=False),
    Vacated("came back", opts_out_and_comes_back, {FREE, LETTER}, {LETTER}),
]


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("case", VACATED, ids=str)
def test_somebody_else_takes_an_address_that_was_given_up(connected: Sandbox, case: Vacated, heard: bool) -> None:
    """She begins with what Constant Contact holds for it, and with nothing else."""
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    case.before(connected)
    if heard:
        acts.sync_now(Contact.objects.filter(email=ADA))
        settle()
    member.email = NEW
    member.save()
    if case.sent:
        settle()
    Member.objects.create(email=ADA, first_name="Eve", wants_newsletter=True)
    settle()
    there = connected.contacts()
    assert {"eve": _shown(there.get(ADA)), "ada": _shown(there.get(NEW))} == {"eve": case.eve, "ada": case.ada}
    _is_quiet(connected)


def wishes_now(member: Member) -> None:
    """Once all is sent, let her be wished on two lists."""
    settle()
    member.is_free = member.wants_newsletter = True
    member.save()
    settle()


def hears(box: Sandbox, case: Idle) -> None:
    case.before(box)
    if case.heard:
        acts.sync_now(Contact.objects.filter(email=ADA))
        settle()


def test_who_is_wished_on_no_list_is_kept_in_mind_as_long_as_she_is_there(shared: Sandbox) -> None:
    """Only as one who shares the address: she is no wish, and costs no write."""
    bob = Member.objects.get(first_name="Bob")
    shared.forget()
    assert Membership.with_idle.filter(key="").count() == 1
    assert set(contact(ADA).memberships.values_list("key", flat=True)) == {"free", "newsletter"}
    bob.is_free = True
    bob.save()
    assert not Membership.with_idle.filter(key="").exists()
    assert contact(ADA).priority == Priority.ADD, "nobody has left anything"
    bob.is_free = False
    bob.save()
    assert Membership.with_idle.filter(key="").count() == 1
    bob.delete()
    assert not Membership.with_idle.filter(key="").exists()
    settle()
    assert shared.writes() == []


def test_who_has_the_address_alone_by_now_is_kept_in_mind_by_its_profile(shared: Sandbox) -> None:
    Member.objects.get(first_name="Ada").delete()
    Member.objects.get(first_name="Bob").save()
    assert contact(ADA).first_name == "Bob"
    assert not Membership.with_idle.exists()


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
