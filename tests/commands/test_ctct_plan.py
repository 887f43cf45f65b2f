"""``ctct_plan``: what would be done for each person, and nothing done."""

from __future__ import annotations

from typing import Any

import pytest

from django_ctct import acts
from django_ctct.models import Account, Contact, WriteAttempt
from tests.account import UNMANAGED, Sandbox, contact, run_due
from tests.commands.run import run
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA = "ada@example.com"


def _rows() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Contact, WriteAttempt)]


def test_an_upgrade_is_shown_with_both_sides_and_the_steps(connected: Sandbox) -> None:
    connected.add(ADA, "Free members", UNMANAGED)
    Member.objects.create(email=ADA, is_free=False, is_sustainer=True, first_name="Ada")
    ran = run("ctct_plan")
    assert ran.out.splitlines() == [
        ADA,
        "  wanted   sustainers",
        f"  present  {UNMANAGED} (not managed), free [Active]",
        "  plan     take off free, put on sustainers, set first_name",
        "1 looked at, 1 would change. Nothing was written.",
    ]
    assert ran.code == 0


def test_nothing_is_written_neither_here_nor_there(connected: Sandbox) -> None:
    connected.add(ADA, "Free members")
    Member.objects.create(email=ADA, is_free=False)
    before, remote = _rows(), connected.contacts()
    run("ctct_plan")
    assert (_rows(), connected.contacts(), connected.writes()) == (before, remote, [])


def test_someone_who_is_not_there_would_be_created(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    ran = run("ctct_plan")
    assert "  present  not at Constant Contact" in ran.out
    assert "  plan     create on free" in ran.out


def test_leaving_the_last_list_says_that_the_status_becomes_removed(connected: Sandbox) -> None:
    connected.add(ADA, "Free members")
    Member.objects.create(email=ADA, is_free=False)
    assert "  plan     take off free, status becomes Removed" in run("ctct_plan").out


def test_an_opt_out_under_way_is_shown(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    acts.opt_out(contact(ADA))
    assert "  plan     opt out for good; stays off free" in run("ctct_plan").out


def test_someone_who_opted_out_would_be_refused(connected: Sandbox) -> None:
    connected.add(ADA, "Free members")
    connected.act(ADA, "unsubscribe")
    Member.objects.create(email=ADA)
    ran = run("ctct_plan")
    assert "[Do Not Mail]" in ran.out
    assert "  plan     refuse: has opted out; stays off free" in ran.out
    assert "1 looked at, 0 would change." in ran.out


def test_only_due_contacts_are_shown_unless_all_are_asked_for(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    assert run("ctct_plan").out == "0 looked at, 0 would change. Nothing was written.\n"
    assert "  plan     nothing" in run("ctct_plan", "--all").out


def test_a_named_contact_is_shown_due_or_not(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    Member.objects.create(email="grace@example.com")
    run_due()
    ran = run("ctct_plan", " Ada@Example.com ")
    assert ADA in ran.out
    assert "grace@example.com" not in ran.out


def test_strangers_are_left_out_of_all(connected: Sandbox) -> None:
    Contact.objects.create(account=Account.objects.for_alias("default"), email="stranger@example.com")
    assert "0 looked at" in run("ctct_plan", "--all").out


def test_an_unknown_address_is_an_error_that_says_what_may_be_missing(connected: Sandbox) -> None:
    ran = run("ctct_plan", "nobody@example.com")
    assert ran.code == 1
    assert "did ctct_mirror run?" in ran.error


def test_names_and_all_exclude_each_other(connected: Sandbox) -> None:
    assert run("ctct_plan", ADA, "--all").error == "Name addresses or say --all, not both."


def test_the_limit_is_kept_and_what_is_left_out_is_said(connected: Sandbox) -> None:
    for n in range(3):
        Member.objects.create(email=f"member{n}@example.com")
    ran = run("ctct_plan", "--limit=2")
    assert "2 looked at, 2 would change." in ran.out
    assert "1 more were left out. Say --limit 3 to see them all." in ran.out


def test_with_exit_code_a_change_gives_2_and_no_change_gives_0(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    assert run("ctct_plan", "--exit-code").code == 2
    run_due()
    assert run("ctct_plan", "--all", "--exit-code").code == 0


def test_someone_whose_plan_cannot_be_made_is_shown_with_the_reason_and_the_others_too(connected: Sandbox) -> None:
    Member.objects.create(email="no address at all")
    Member.objects.create(email=ADA)
    ran = run("ctct_plan", "--exit-code")
    assert ran.code == 1
    assert "  waits    The address" in ran.out
    assert "  plan     create on free" in ran.out


def test_a_server_that_is_down_ends_it_in_one_sentence_without_an_address(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    connected.fault("GET *", "status", status=503, times=20)
    ran = run("ctct_plan")
    assert ran.code == 1
    assert ADA not in ran.error
