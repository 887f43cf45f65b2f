"""``ctct_plan``: what would be done for each person, and nothing done."""

from __future__ import annotations

import getpass
import io
from datetime import timedelta
from typing import Any

import pytest

from django_ctct import acts
from django_ctct.models import Account, Contact, DatabaseNow, WriteAttempt
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


# Going by what was last told


def _not_approved() -> None:
    Account.objects.update(approved_at=None)


def test_known_makes_no_request_and_says_the_same(connected: Sandbox) -> None:
    connected.add(ADA, "Free members", UNMANAGED)
    Member.objects.create(email=ADA, is_sustainer=True)
    Member.objects.create(email="grace@example.com")
    run_due()
    Member.objects.update(is_free=False)
    run("ctct_mirror")
    connected.forget()
    ran = run("ctct_plan", "--known")
    assert connected.requests() == []
    assert ran.out.splitlines() == [
        ADA,
        "  wanted   sustainers",
        f"  present  {UNMANAGED} (not managed), free, sustainers [Active], as last told",
        "  plan     take off free",
        "grace@example.com",
        "  wanted   no list",
        "  present  free [Active], as last told",
        "  plan     take off free, status becomes Removed",
        "LIST        JOIN  LEAVE  STAY ON  STAY OFF",
        "free        0     2      0        0",
        "newsletter  0     0      0        0",
        "sustainers  0     0      1        0",
        "2 leave",
        "2 looked at, 2 would change. Nothing was written.",
        "Not all contacts at Constant Contact were read yet, so this is a guess: run ctct_pull first.",
    ]
    assert ran.code == 0
    assert run("ctct_plan", "--known", "--exit-code").code == 2


def test_known_keeps_the_limit_and_counts_all_the_same(connected: Sandbox) -> None:
    for n in range(3):
        Member.objects.create(email=f"member{n}@example.com")
    out = run("ctct_plan", "--known", "--limit=2").out
    assert out.count("@example.com") == 2
    assert "3 join" in out
    assert "1 more were not named. Say --limit 3 to see them all." in out


def test_known_says_why_somebody_waits(connected: Sandbox) -> None:
    Member.objects.create(email="ada@nowhere")
    out = run("ctct_plan", "--known").out
    assert "  waits    The address is not an e-mail address." in out
    assert "1 wait until something is put right" in out


# Approval


def test_without_approval_the_plan_ends_with_what_to_do_next(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    assert "Nothing is sent" not in run("ctct_plan").out
    _not_approved()
    for option in [(), ("--known",), ("--all",)]:
        last = run("ctct_plan", *option).out.splitlines()[-1]
        assert last.startswith("Nothing is sent to Constant Contact yet but opt-outs")
        assert "ctct_plan --approve, or in the admin" in last


def test_what_was_tried_before_approval_and_waits_is_still_in_the_plan(connected: Sandbox) -> None:
    _not_approved()
    Member.objects.create(email=ADA)
    Contact.objects.update(due_at=DatabaseNow() + timedelta(minutes=5))
    assert "1 looked at, 1 would change." in run("ctct_plan").out


def test_approving_for_scripts_records_the_name_and_sends_what_waited(connected: Sandbox) -> None:
    _not_approved()
    Member.objects.create(email=ADA)
    run_due()
    assert connected.writes() == []
    ran = run("ctct_plan", "--approve", "--yes", "--by", "Sam Ling")
    assert "Approved: from now on changes are sent. 1 contacts were waiting." in ran.out
    assert ran.code == 0
    assert Account.objects.get().approved_by == "Sam Ling"
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}


def test_approving_names_the_user_of_the_terminal(connected: Sandbox) -> None:
    _not_approved()
    run("ctct_plan", "--approve", "--yes")
    assert Account.objects.get().approved_by == getpass.getuser()


@pytest.mark.parametrize(
    ("answer", "approved"), [("yes", True), ("1", True), (" YES ", True), ("", False), ("2", False), ("no", False)]
)
def test_approving_asks_for_yes_or_the_number_of_changes(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch, answer: str, approved: bool
) -> None:
    _not_approved()
    Member.objects.create(email=ADA)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
    ran = run("ctct_plan", "--approve")
    assert "  plan     create on free" in ran.out
    assert (Account.objects.get().approved_at is not None) == approved
    assert ran.code == (0 if approved else 1)


def test_approving_without_anybody_to_ask_is_refused_in_one_sentence(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    _not_approved()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ran = run("ctct_plan", "--approve")
    assert ran.error == "There is nobody to ask here. Say --yes when you have read the plan."
    assert Account.objects.get().approved_at is None


def test_an_approval_is_not_taken_over_by_the_next_one(connected: Sandbox) -> None:
    Account.objects.update(approved_by="sam")
    ran = run("ctct_plan", "--approve", "--yes", "--by", "eve")
    assert ran.out.startswith("It was approved already by sam, ")
    assert Account.objects.get().approved_by == "sam"


@pytest.mark.parametrize("options", [("--yes",), ("--by", "sam"), (ADA, "--known"), (ADA, "--approve")])
def test_options_that_do_not_go_together_are_one_sentence(connected: Sandbox, options: tuple[str, ...]) -> None:
    ran = run("ctct_plan", *options)
    assert ran.code == 1
    assert ran.error.startswith("--")
