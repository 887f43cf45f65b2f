"""``ctct_status``: one look says whether all is well, and if not, what to do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from django_ctct.models import Account, Contact, ContactList, DatabaseNow
from tests.account import Sandbox, run_due, with_wrong_secret
from tests.commands.run import CANARY, Ran, run
from tests.site.models import Member

pytestmark = pytest.mark.sandbox


def _document() -> tuple[int, dict[str, Any]]:
    ran = run("ctct_status", "--json")
    document: dict[str, Any] = json.loads(ran.out)
    return ran.code, document


def _only() -> dict[str, Any]:
    account: dict[str, Any] = _document()[1]["accounts"][0]
    return account


def test_an_account_where_all_is_well_gives_exit_code_0(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    run_due()
    ran = run("ctct_status")
    assert ran.code == 0
    assert "contacts      1 in sync, 0 pending, 0 failed, 0 refused, 0 not the site's" in ran.out
    assert "PROBLEM" not in ran.out
    assert CANARY not in ran.out


def test_the_json_has_the_same_facts(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    run_due()
    code, document = _document()
    account = document["accounts"][0]
    assert (code, document["healthy"], account["problems"]) == (0, True, [])
    assert account["contacts"]["in_sync"] == 1
    assert account["last_answer_at"] is not None
    assert account["calls_today"] >= 2
    assert CANARY not in json.dumps(document)


def test_it_calls_nobody(connected: Sandbox) -> None:
    run("ctct_status")
    assert connected.requests() == []


def test_a_pending_change_is_healthy_and_its_age_is_told_in_seconds(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    Contact.objects.update(wished_at=DatabaseNow() - timedelta(seconds=90))
    code, document = _document()
    assert code == 0
    assert 90 <= document["accounts"][0]["oldest_pending_seconds"] < 150


def test_work_that_nobody_does_for_15_minutes_is_a_problem(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    Contact.objects.update(due_at=DatabaseNow() - timedelta(minutes=16))
    assert _problem(run("ctct_status")) == (
        "Work has been due for more than 15 minutes. Is a worker running, or cron with ctct_drain?"
    )


def test_a_failed_contact_is_a_problem_and_held_ones_are_counted_by_reason(connected: Sandbox) -> None:
    Member.objects.create(email="no address at all")
    run_due()
    ran = run("ctct_status")
    assert _problem(ran).startswith("1 contacts failed.")
    assert "held          1 not valid" in ran.out
    assert _only()["held"]["invalid"] == 1


def test_an_unbound_key_is_a_problem(connected: Sandbox) -> None:
    ContactList.objects.filter(key="sustainers").update(key=None)
    assert _problem(run("ctct_status")).startswith("No list is bound to: sustainers.")


def test_a_bound_list_that_is_gone_is_a_problem(connected: Sandbox) -> None:
    ContactList.objects.filter(key="sustainers").update(missing_since=DatabaseNow())
    assert "sustainers (Sustainers)" in _problem(run("ctct_status"))


def test_refused_credentials_are_a_problem_until_an_answer_comes(connected: Sandbox, settings: Any) -> None:
    good = settings.CTCT
    settings.CTCT = with_wrong_secret(good, "s3cret-canary")
    Member.objects.create(email=CANARY)
    run_due()
    ran = run("ctct_status")
    assert _problem(ran) == "Constant Contact refuses the credentials. Check OPTIONS of this account."
    assert "paused until" in ran.out
    assert "s3cret-canary" not in ran.out
    settings.CTCT = good
    run("ctct_lists")
    assert run("ctct_status").code == 0


def test_a_pause_alone_is_told_and_is_no_problem(connected: Sandbox) -> None:
    Account.objects.update(paused_until=DatabaseNow() + timedelta(seconds=30), pause_reason="too many calls")
    ran = run("ctct_status")
    assert (ran.code, "too many calls" in ran.out) == (0, True)


def test_every_account_is_shown_unless_one_is_named(connected: Sandbox, settings: Any) -> None:
    accounts = settings.CTCT["ACCOUNTS"]
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {**accounts, "other": accounts["default"]}}
    assert [one["account"] for one in _document()[1]["accounts"]] == ["default", "other"]
    assert "Account default" not in run("ctct_status", "--account=other").out


def test_settings_that_are_missing_are_one_sentence(settings: Any, db: None) -> None:
    settings.CTCT = None
    ran = run("ctct_status")
    assert ran.code == 1
    assert ran.error.startswith("settings.CTCT is missing.")


def test_old_news_is_a_problem_because_adds_wait(connected: Sandbox) -> None:
    Account.objects.update(pulled_at=DatabaseNow() - timedelta(minutes=29))
    assert run("ctct_status").code == 0
    Account.objects.update(pulled_at=DatabaseNow() - timedelta(minutes=31))
    ran = run("ctct_status")
    assert _problem(ran).startswith("News from Constant Contact is older than 30 minutes: nobody is added until")
    assert "(behind: adds wait)" in ran.out
    assert _only()["behind"] is True


def test_news_that_was_never_read_is_a_problem_unless_the_first_reading_is_under_way(connected: Sandbox) -> None:
    Account.objects.update(pulled_at=None)
    assert _problem(run("ctct_status")).startswith("News from Constant Contact was never read")
    Account.objects.update(walk_begun_at=DatabaseNow(), walk_seen=12)
    ran = run("ctct_status")
    assert ran.code == 0
    assert "note          All contacts are being read: 12 so far." in ran.out


def test_a_plan_that_is_not_approved_is_a_note_and_no_problem(connected: Sandbox) -> None:
    Account.objects.update(approved_at=None)
    ran = run("ctct_status")
    assert ran.code == 0
    assert "plan          not approved yet" in ran.out
    assert "note          Nothing is sent yet but opt-outs: read the plan" in ran.out
    assert len(_only()["notes"]) == 1


def test_who_approved_and_when_all_was_read_is_told(connected: Sandbox) -> None:
    Account.objects.update(approved_by="sam", walk_begun_at=DatabaseNow(), walk_ended_at=DatabaseNow())
    out = run("ctct_status").out
    assert " by sam" in out
    assert "all contacts  last read 20" in out


def _problem(ran: Ran) -> str:
    """Return the one problem of an unhealthy account."""
    assert ran.code == 1
    found = [line.split(maxsplit=1)[1] for line in ran.out.splitlines() if "PROBLEM" in line]
    assert len(found) == 1, found
    return found[0]
