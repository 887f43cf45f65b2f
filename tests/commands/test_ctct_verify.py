"""``ctct_verify``: the list over there, person by person against what the site wants; exit code 0 is a promise."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from django_ctct import acts, vault
from django_ctct.models import Account, Contact, ContactList, DatabaseNow, ListOptOut, Membership, Suppression
from django_ctct.services import Link, connect
from django_ctct.types import ContactSummary
from django_ctct.verify import Count, Kind, Reason, bound_list, compare
from tests.account import Sandbox, contact, run_due
from tests.commands.run import run
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA, GRACE, DORA = "ada@example.com", "grace@example.com", "dora@example.com"


def member(email: str, **rules: bool) -> Contact:
    Member.objects.create(email=email, **rules)
    return contact(email)


def differences(key: str = "free") -> tuple[dict[str, tuple[Kind, Reason]], Count]:
    count = Count()
    with connect("default") as link:
        found = list(compare(link, bound_list(link.account, key), count))
    return {one.email: (one.kind, one.reason) for one in found}, count


def test_a_list_that_is_exactly_right_gives_exit_code_0(connected: Sandbox) -> None:
    member(ADA), member(GRACE)
    run_due()
    ran = run("ctct_verify", "free")
    assert ran.out.splitlines() == [
        "Free members (free):",
        "2 on the list, 2 wanted there, 2 of them right.",
        "Exactly as the site wants it.",
    ]
    assert ran.code == 0


def test_an_empty_list_that_nobody_belongs_on_is_right(connected: Sandbox) -> None:
    assert run("ctct_verify", "free").code == 0


def test_who_waits_is_missing_and_the_reason_is_told(connected: Sandbox) -> None:
    member(ADA)
    ran = run("ctct_verify", "free")
    assert f"  missing  {ADA}: the change is under way (for less than a minute)" in ran.out
    assert "1 missing, 0 too many." in ran.out
    assert ran.code == 1


def test_who_is_held_is_missing_and_the_reason_is_told(connected: Sandbox) -> None:
    member("ada@nowhere")
    run_due()
    ran = run("ctct_verify", "free")
    assert "  missing  ada@nowhere: it could not be done (The address is not an e-mail address)" in ran.out
    assert ran.code == 1


def test_who_was_taken_off_over_there_since_is_missing(connected: Sandbox) -> None:
    member(ADA)
    run_due()
    connected.act(ADA, "leave", list="Free members")
    assert differences()[0] == {ADA: (Kind.MISSING, Reason.GONE)}
    assert run("ctct_verify", "free").code == 1


def test_who_is_known_to_have_left_is_rightly_off(connected: Sandbox) -> None:
    row = member(ADA)
    run_due()
    connected.act(ADA, "leave", list="Free members")
    acts.sync_now([row])
    run_due()
    found, count = differences()
    assert (found, count.withheld, count.is_exact) == ({}, 1, True)
    assert "1 wanted and rightly not there: they have left it or opted out." in run("ctct_verify", "free").out


def test_who_was_put_back_is_wanted_again(connected: Sandbox) -> None:
    row = member(ADA)
    run_due()
    connected.act(ADA, "leave", list="Free members")
    acts.sync_now([row])
    run_due()
    acts.put_back(ListOptOut.objects.get(), by="sam", why="a mistake")
    assert differences()[0] == {ADA: (Kind.MISSING, Reason.WAITS)}


@pytest.mark.parametrize("how", ["everything", "erased"])
def test_who_opted_out_is_rightly_off(connected: Sandbox, how: str) -> None:
    if how == "erased":
        account = Account.objects.get()
        name = vault.address_hash(ADA)
        Suppression.objects.create(account=account, address_hash=name, at=DatabaseNow(), source="site")
        member(ADA)
    else:
        acts.opt_out(member(ADA))
    run_due()
    found, count = differences()
    assert (found, count.withheld) == ({}, 1)


def test_who_opted_out_and_is_still_there_is_too_many(connected: Sandbox) -> None:
    row = member(ADA)
    run_due()
    acts.leave_list(ADA, "free")
    assert differences()[0] == {ADA: (Kind.EXTRA, Reason.RULED_OUT)}
    run_due()
    assert differences()[0] == {}
    assert row.pk


def test_whom_no_rule_wants_any_more_is_too_many(connected: Sandbox) -> None:
    member(ADA)
    run_due()
    one = Member.objects.get()
    one.is_free = False
    one.save()
    assert differences()[0] == {ADA: (Kind.EXTRA, Reason.UNWANTED)}
    assert f"  extra    {ADA}: no rule wants her there" in run("ctct_verify", "free").out


def test_a_member_whom_somebody_added_over_there_is_too_many(connected: Sandbox) -> None:
    member(ADA)
    run_due()
    connected.act(ADA, "join", list="Sustainers")
    assert differences("sustainers")[0] == {ADA: (Kind.EXTRA, Reason.ADDED)}


def test_with_the_policy_to_keep_she_is_counted_and_no_difference(connected: Sandbox) -> None:
    ContactList.objects.update(on_remote_addition="keep")
    row = member(ADA)
    run_due()
    connected.act(ADA, "join", list="Sustainers")
    assert differences("sustainers")[1].kept == 1
    acts.sync_now([row])
    run_due()
    found, count = differences("sustainers")
    assert (found, count.kept, count.is_exact) == ({}, 1, True)


def test_strangers_are_counted_and_no_difference(connected: Sandbox) -> None:
    connected.add("stranger@example.com", "Free members")
    Contact.objects.create(account=Account.objects.get(), email="known@example.com")
    connected.add("known@example.com", "Free members")
    ran = run("ctct_verify", "free")
    assert "2 subscribers of the list's own: no members of the site, never touched." in ran.out
    assert "stranger@" not in ran.out
    assert ran.code == 0


def test_a_stranger_who_left_by_the_site_and_is_still_there_is_too_many(connected: Sandbox) -> None:
    connected.add(DORA, "Free members")
    acts.leave_list(DORA, "free")
    assert differences()[0] == {DORA: (Kind.EXTRA, Reason.RULED_OUT)}


def test_one_address_with_two_members_counts_once(connected: Sandbox) -> None:
    row = member(ADA)
    Membership.objects.create(contact=row, key="free", member_key="site.member:4711")
    run_due()
    assert differences()[1].wanted == 1


def test_whoever_is_sent_while_the_list_is_read_is_told_as_such(connected: Sandbox) -> None:
    connected.add("stranger@example.com", "Free members")
    member(ADA)
    with connect("default") as link:
        found = list(compare(link, bound_list(link.account, "free"), Count(), watch=lambda: bool(run_due())))
    assert [one.reason for one in found] == [Reason.CHANGED]


def test_many_differences_are_named_only_when_all_are_asked_for(connected: Sandbox) -> None:
    for number in range(53):
        Member.objects.create(email=f"{number}@example.com")
    ran = run("ctct_verify", "free")
    assert ran.out.count("  missing  ") == 50
    assert "… and more: say --all to see them all." in ran.out
    assert "53 missing, 0 too many." in ran.out
    assert run("ctct_verify", "free", "--all").out.count("  missing  ") == 53


def test_a_key_without_a_list_is_one_sentence(connected: Sandbox) -> None:
    ran = run("ctct_verify", "donors")
    assert ran.code == 1
    assert ran.error.startswith("No list at Constant Contact is bound to: donors.")


def test_a_server_that_is_down_is_one_sentence_without_an_address(connected: Sandbox) -> None:
    member(ADA)
    connected.fault("GET *", "status", status=503, times=20)
    ran = run("ctct_verify", "free")
    assert ran.code == 1
    assert ran.error
    assert ADA not in ran.error


def test_what_keeps_everybody_waiting_is_said_too(connected: Sandbox) -> None:
    member(ADA)
    Account.objects.update(approved_at=None)
    assert "Nothing is sent yet but opt-outs" in run("ctct_verify", "free").out


def test_it_writes_nothing_neither_here_nor_there(connected: Sandbox) -> None:
    member(ADA)
    run_due()
    connected.act(ADA, "leave", list="Free members")
    before = list(Contact.objects.values()), list(ListOptOut.objects.values())
    connected.forget()
    run("ctct_verify", "free")
    assert (list(Contact.objects.values()), list(ListOptOut.objects.values())) == before
    assert connected.writes() == []


class _Many:
    """A wire of which only the feed of a long list is needed."""

    def members(self, _list_id: str) -> Any:
        for number in range(100_000):
            yield ContactSummary(str(number), f"{number}@example.com")


@pytest.mark.django_db
def test_memory_does_not_grow_with_the_list() -> None:
    account = Account.objects.for_alias("default")
    one = ContactList.objects.create(account=account, remote_id="1", name="Free members", key="free")
    rows = [Contact(account=account, email=f"{n}@example.com", claimed=True, desired_gen=1) for n in range(2000)]
    for row in rows:
        row.applied_gen = 1
    Contact.objects.bulk_create(rows)
    Membership.objects.bulk_create(
        Membership(contact=row, key="free", member_key=f"site.member:{row.pk}") for row in Contact.objects.all()
    )
    link, count = Link(account, _Many(), None), Count()  # type: ignore[arg-type]
    tracemalloc.start()
    assert list(compare(link, one, count)) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count.right, count.strangers) == (2000, 98_000)
    assert peak < 8_000_000
