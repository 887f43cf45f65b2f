"""Before anything is sent, somebody reads the plan and approves it; and how current the news is, is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_ctct import acts, vault
from django_ctct.models import Account, Contact, FormerAddress, Suppression
from django_ctct.services import forecast
from django_ctct.verdict.outlook import Group, foresee, look_out
from tests import account as site
from tests.account import Sandbox
from tests.site.models import Member

from . import builders
from .pages import snapshot, url

pytestmark = pytest.mark.django_db

CONFIRMED = {"alias": "default", "confirm": "1", "sure": "on"}
BUTTON = "Approve: from now on changes are sent…</button>"


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def not_approved() -> Account:
    builders.waits_for_staff()
    return builders.account()


def plan(client: Client) -> Any:
    return client.get(url("account_plan", builders.account().pk))


# The outlook


def test_the_outlook_of_many_is_the_forecast_of_each() -> None:
    builders.waits_for_staff()
    people = {one.email: one for one in Contact.objects.all()}
    erased = people["rex@example.com"]
    erased.memberships.create(key="free", member_key="site.member:1")
    Suppression.objects.create(
        account=erased.account, address_hash=vault.address_hash(erased.email), at=builders.ago(60), source="site"
    )
    builders.write(people["grace@example.com"], [1, 99], [2, 99], 1, outcome="ambiguous")
    FormerAddress.objects.create(contact=people["una@example.com"], email="una@example.org", at=builders.ago(5))
    acts.leave_list("script@example.com", "free")
    acts.resubscribe(people["dora@example.com"], ["newsletter"], method="web form")
    seen = {one.contact_id: one for one in foresee(builders.account())}
    assert len(seen) == Contact.objects.filter(desired_gen__gt=0).count() > 20
    for contact_id, one in seen.items():
        assert one.plan == forecast(contact_id).plan, one.email


def test_the_outlook_groups_and_counts() -> None:
    builders.scene()
    found = look_out(builders.account(), keep=100)
    names = {group: {one.email.partition("@")[0] for one in people} for group, people in found.people.items()}
    assert names[Group.JOINS] == {"new", "retry", "busy"}
    assert names[Group.MOVES] == {"grace", "failing"}
    assert names[Group.LEAVES] == {"noor"}
    assert names[Group.OPT_OUT] == {"soon"}
    assert names[Group.REFUSED] == {"dora", "leo", "tess"}
    too_long = f"{'a' * 60}.{'b' * 60}"
    assert names[Group.WAITS] == {"dona", "mia", "not-an-address", "rejected", "renamed", too_long}
    assert names[Group.NOTHING] == set()
    (gone,) = [one.why for one in found.people[Group.WAITS] if one.email == "mia@example.com"]
    assert gone == "a list is gone at Constant Contact: events"
    free = found.lists[builders.remote_id(1)]
    assert (free.joins, free.leaves, free.stays_off) == (2, 2, 1)
    assert found.changes == 7


def test_a_new_address_alone_is_a_change_of_its_own_kind() -> None:
    una = builders.scene()["unconfirmed"]
    FormerAddress.objects.create(contact=una, email="una@example.org", at=builders.ago(5))
    Contact.objects.filter(pk=una.pk).update(known_as="una@example.org")
    found = look_out(builders.account(), keep=9)
    assert [one.email for one in found.people[Group.RENAMED]] == ["una@example.com"]
    assert found.changes == 8


def test_an_address_that_the_wire_cannot_send_waits_although_nothing_is_held_yet() -> None:
    builders.lists()
    builders.contact(
        "x" * 90 + "@example.com", ["free"], desired_gen=1, applied_gen=0, due_at=builders.ago(1), status=""
    )
    (found,) = foresee(builders.account())
    assert found.group is Group.WAITS
    assert "Constant Contact takes 80" in found.why


def test_the_outlook_costs_no_more_queries_for_many_of_the_usual_kind(django_assert_max_num_queries: Any) -> None:
    builders.lists()
    for number in range(60):
        builders.contact(f"{number}@example.com", ["free"], ["newsletter"])
    with django_assert_max_num_queries(15):
        assert look_out(builders.account()).changes == 60


# The plan's page


def test_the_plan_names_who_joins_leaves_and_stays_off(chief: Client) -> None:
    not_approved()
    html = text(plan(chief))
    assert "Nothing is sent yet." in html
    for words in ["grace@example.com", "noor@example.com", "leo@example.com", "They are put on lists.", BUTTON]:
        assert words in html


def test_looking_at_the_plan_changes_nothing_and_calls_nobody(chief: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    not_approved()

    def refuse(*_: object) -> None:
        raise AssertionError("a page called the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = snapshot()
    plan(chief)
    chief.get(url("account_changelist"))
    chief.get(url("account_change", builders.account().pk))
    assert snapshot() == before


def test_the_plan_takes_the_permission_to_see_accounts_and_names_nobody_to_who_may_not_see_contacts(
    client_of: Callable[..., Client],
) -> None:
    not_approved()
    assert plan(client_of("view_contact", "approve_account")).status_code == 403
    html = text(plan(client_of("view_account")))
    assert "@example.com" not in html
    assert "They are put on lists." in html


def test_a_plan_that_goes_by_too_little_says_so(chief: Client) -> None:
    not_approved()
    assert "so this plan is a guess" not in text(plan(chief))
    Account.objects.update(walk_ended_at=None)
    assert "Not all contacts at Constant Contact were read yet, so this plan is a guess." in text(plan(chief))
    Account.objects.update(pulled_at=None)
    assert "What is at Constant Contact was not read yet, so this plan is a guess." in text(plan(chief))


def test_an_approved_plan_says_by_whom_and_has_no_button(chief: Client) -> None:
    account = not_approved()
    Account.objects.update(approved_at=builders.ago(5), approved_by="sam")
    html = text(plan(chief))
    assert "Approved by sam" in html
    assert BUTTON not in html
    assert "approved by sam" in text(chief.get(url("account_change", account.pk)))


def test_the_plan_of_nobody_says_what_may_be_missing(chief: Client) -> None:
    builders.account()
    assert "The site has no contacts of members yet." in text(plan(chief))


def test_an_account_that_is_not_there_has_no_plan(chief: Client) -> None:
    assert chief.get(url("account_plan", 4711)).status_code == 404


# Approval


def test_approving_asks_first_with_the_numbers(chief: Client) -> None:
    not_approved()
    before = snapshot()
    html = text(chief.post(url("account_approve"), {"alias": "default"}))
    assert "would be changed at Constant Contact, now." in html
    assert snapshot() == before
    html = text(chief.post(url("account_approve"), {"alias": "default", "confirm": "1"}))
    assert "Tick the box to say that you mean it." in html
    assert snapshot() == before


def test_approving_is_recorded_with_the_name_and_logged(client_of: Callable[..., Client]) -> None:
    account = not_approved()
    client = client_of("view_account", "approve_account")
    answer = client.post(url("account_approve"), CONFIRMED, follow=True)
    assert "Approved: changes are sent from now on." in text(answer)
    account.refresh_from_db()
    assert account.approved_at is not None
    assert account.approved_by.startswith("sam")
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Approved the plan: changes are sent from now on."


def test_approving_takes_its_own_permission_a_post_and_a_token(client_of: Callable[..., Client]) -> None:
    not_approved()
    others = client_of("view_account", "view_contact", "check_account", "connect_account", "change_account")
    unseeing = client_of("approve_account")
    strict = client_of("view_account", "approve_account", csrf=True)
    allowed = client_of("view_account", "approve_account")
    before = snapshot()
    assert BUTTON not in text(plan(others))
    for client in (others, unseeing, strict):
        assert client.post(url("account_approve"), CONFIRMED).status_code == 403
    assert allowed.get(url("account_approve"), CONFIRMED).status_code == 405
    assert allowed.post(url("account_approve"), {**CONFIRMED, "alias": "nobody"}).status_code == 404
    assert Client().post(url("account_approve"), CONFIRMED).status_code == 302
    assert snapshot() == before


def test_an_approval_is_not_taken_over_by_the_next_one(chief: Client) -> None:
    not_approved()
    Account.objects.update(approved_at=builders.ago(5), approved_by="sam")
    before = snapshot()
    answer = chief.post(url("account_approve"), CONFIRMED, follow=True)
    assert "The plan was approved already" in text(answer)
    assert snapshot() == before


@pytest.mark.sandbox
@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_approval_and_all_that_waited_after(connected: Sandbox) -> None:
    client = Client()
    client.force_login(builders.chief())
    Account.objects.update(approved_at=None)
    Member.objects.create(email="ada@example.com")
    site.run_due()
    assert connected.writes() == []
    contact = Contact.objects.get()
    html = text(client.get(url("contact_change", contact.pk)))
    assert "Nothing is sent before somebody has read the plan of this account and approved it." in html
    client.post(url("account_approve"), CONFIRMED)
    site.run_due()
    assert connected.lists_of("ada@example.com") == {"Free members"}


# Banners, and the news


@pytest.mark.parametrize("name", ["contact_changelist", "contactlist_changelist", "account_changelist"])
def test_banners_say_that_nothing_is_sent_and_that_the_news_is_old(chief: Client, name: str) -> None:
    not_approved()
    html = text(chief.get(url(name)))
    assert "Nothing is sent yet: read the plan and approve it." in html
    assert f'href="{url("account_plan", builders.account().pk)}">Read the plan</a>' in html
    assert "News from Constant Contact was last read 1 hour ago." in html


def test_a_ready_account_has_neither_banner(chief: Client) -> None:
    builders.lists()
    html = text(chief.get(url("contact_changelist")))
    assert "Nothing is sent yet" not in html
    assert "News from Constant Contact" not in html


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"pulled_at": 31}, "News from Constant Contact was last read 31 minutes ago."),
        ({"pulled_at": None}, "What is at Constant Contact was never read."),
        (
            {"pulled_at": None, "walk_begun_at": 4, "walk_seen": 77},
            "being read for the first time: 77 so far.",
        ),
    ],
)
def test_that_adds_wait_is_said_with_the_reason(chief: Client, row: dict[str, Any], words: str) -> None:
    account = builders.account()
    Account.objects.update(**{name: builders.ago(it) if name != "walk_seen" and it else it for name, it in row.items()})
    html = text(chief.get(url("account_change", account.pk)))
    assert words in html
    assert "behind: adds wait" in html


def test_news_of_29_minutes_ago_are_good_enough(chief: Client) -> None:
    account = builders.account()
    Account.objects.update(pulled_at=builders.ago(29))
    html = text(chief.get(url("account_change", account.pk)))
    assert "29 minutes ago" in html
    assert "adds wait" not in html


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "never"),
        ({"walk_begun_at": 90, "walk_ended_at": 60, "walk_seen": 12}, "1 hour ago, 12 seen"),
        ({"walk_begun_at": 10, "walk_ended_at": 60, "walk_seen": 12}, "under way for 10 minutes, 12 seen so far"),
    ],
)
def test_the_account_page_says_how_far_all_contacts_were_read(chief: Client, row: dict[str, Any], words: str) -> None:
    account = builders.account()
    Account.objects.update(**{name: builders.ago(it) if name != "walk_seen" else it for name, it in row.items()})
    assert words in text(chief.get(url("account_change", account.pk)))


def test_the_worker_being_behind_is_the_reason_why_she_waits(chief: Client) -> None:
    contact = builders.scene()["pending"]
    Contact.objects.filter(pk=contact.pk).update(error_code="behind", due_at=builders.ago(-4))
    html = text(chief.get(url("contact_change", contact.pk)))
    assert "as soon as the news from Constant Contact has been read." in html
