"""What happens at Constant Contact arrives by a pull, and the next reconcile does the right thing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_ctct import acts, catalogue, outbox, pull, services, signals, tasks
from django_ctct.models import (
    Account,
    Contact,
    ContactList,
    DatabaseNow,
    Hold,
    ListOptOut,
    Quota,
    RemoteMembership,
    Suppression,
    WriteAttempt,
)
from django_ctct.planning import Refuse, Update
from django_ctct.pull import Pulled, Turn
from django_ctct.types import Priority
from django_ctct.vault import address_hash
from tests.account import LISTS, UNMANAGED, Sandbox, by_wire, contact, run_due
from tests.commands.run import run
from tests.flow.eventful import Events
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"
FREE, SUSTAINERS, NEWSLETTER = LISTS.values()


def catch_up(**how: Any) -> Pulled:
    with services.connect("default") as link:
        return pull.catch_up(link, **how)


def one_turn() -> Pulled:
    with services.connect("default") as link:
        return pull.pull(link)


def walk(**how: Any) -> Pulled:
    with services.connect("default") as link:
        pull.begin_walk(link.account)
        return pull.pull(link, **how)


def account() -> Account:
    return Account.objects.get()


def lists_of(email: str) -> set[str]:
    return set(RemoteMembership.objects.filter(contact__email=email).values_list("list__name", flat=True))


@pytest.fixture
def pulled(connected: Sandbox) -> Sandbox:
    """A site with one member in sync, and an account that was walked once."""
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    with services.connect("default") as link:
        catalogue.read_lists(link)
    catch_up()
    connected.forget()
    return connected


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """The opt-outs that the site was told of."""
    heard: list[tuple[str, str]] = []

    def hear(sender: Any, contact: Contact, source: Any, **_: Any) -> None:
        heard.append((contact.email, source.value))

    signals.contact_opted_out.connect(hear)
    yield heard
    signals.contact_opted_out.disconnect(hear)


# What an incremental pull brings


def test_where_nothing_happened_a_pull_is_one_request_on_v3_and_three_on_v1(pulled: Sandbox) -> None:
    pulled.control("clock", {"advance": 600})
    one_turn()
    pulled.forget()
    assert one_turn().turn is Turn.CHANGES
    assert len(pulled.requests()) == by_wire(3, 1)


def test_an_unsubscribe_arrives_and_is_never_undone(pulled: Sandbox, told: list[tuple[str, str]]) -> None:
    pulled.act(ADA, "unsubscribe")
    catch_up()
    assert contact(ADA).state == "pending", "until she is read nobody says that she is in sync"  # type: ignore[attr-defined]
    run_due()
    assert contact(ADA).status == "do_not_mail"
    assert contact(ADA).state == "refused"  # type: ignore[attr-defined]
    assert pulled.writes() == []
    assert told == [(ADA, "remote")]


def test_who_left_a_list_stays_off_it(pulled: Sandbox) -> None:
    pulled.act(ADA, "leave", list=NEWSLETTER)
    catch_up()
    run_due()
    left = ListOptOut.objects.get()
    assert (left.contact.email, left.list.name, left.source) == (ADA, NEWSLETTER, "remote")
    Member.objects.get(email=ADA).save()
    run_due()
    assert pulled.lists_of(ADA) == {FREE}


def test_whom_the_owner_added_is_taken_off_by_the_sites_rule(pulled: Sandbox) -> None:
    pulled.act(ADA, "add", list=SUSTAINERS)
    catch_up()
    run_due()
    assert pulled.lists_of(ADA) == {FREE, NEWSLETTER}


def test_whom_the_owner_added_stays_where_the_policy_says_so(pulled: Sandbox) -> None:
    ContactList.objects.filter(key="sustainers").update(on_remote_addition="keep")
    pulled.act(ADA, "add", list=SUSTAINERS)
    catch_up()
    run_due()
    assert pulled.lists_of(ADA) == {FREE, NEWSLETTER, SUSTAINERS}


def test_whom_the_owner_took_off_stays_off_until_staff_put_her_back(pulled: Sandbox) -> None:
    pulled.act(ADA, "remove", list=FREE)
    catch_up()
    run_due()
    assert pulled.lists_of(ADA) == {NEWSLETTER}
    acts.put_back(ListOptOut.objects.get(), by="Olga", why="It was a mistake in the office.")
    run_due()
    assert pulled.lists_of(ADA) == {FREE, NEWSLETTER}


def test_a_confirmation_arrives(connected: Sandbox) -> None:
    connected.reset({"email": EVE, "lists": [FREE], "status": "Unconfirmed"})
    connected.bind()
    Member.objects.create(email=EVE)
    run_due()
    catch_up()
    assert contact(EVE).status == "unconfirmed"
    connected.act(EVE, "confirm")
    catch_up()
    run_due()
    assert contact(EVE).status == "active"


def test_a_stranger_is_mirrored_and_never_written(pulled: Sandbox) -> None:
    pulled.add(EVE, FREE, UNMANAGED)
    outcome = catch_up()
    run_due()
    assert outcome.new == 1
    assert contact(EVE).state == "foreign"  # type: ignore[attr-defined]
    assert contact(EVE).status == "active"
    assert lists_of(EVE) == by_wire(set(), {FREE, UNMANAGED}), "v1's feeds name no lists"
    assert pulled.writes() == []
    pulled.act(EVE, "unsubscribe")
    catch_up()
    assert (contact(EVE).status, contact(EVE).opted_out_source) == ("do_not_mail", "remote")


def test_a_stranger_who_opted_out_and_joins_the_site_is_not_added(pulled: Sandbox) -> None:
    pulled.add(EVE, UNMANAGED)
    pulled.act(EVE, "unsubscribe")
    catch_up()
    Member.objects.create(email=EVE)
    run_due()
    assert pulled.writes() == []
    assert contact(EVE).state == "refused"  # type: ignore[attr-defined]


def test_a_new_address_of_a_stranger_is_one_stranger(pulled: Sandbox) -> None:
    pulled.add(EVE, UNMANAGED)
    catch_up()
    pulled.act(EVE, "edit", to="eva@example.com")
    catch_up()
    assert contact("eva@example.com").status == "active"
    assert (contact(EVE).status, contact(EVE).remote_id) == ("", None)


def test_a_new_address_of_a_member_is_shown_to_staff(pulled: Sandbox) -> None:
    pulled.act(ADA, "edit", to="eva@example.com")
    catch_up()
    run_due()
    assert contact(ADA).hold == "review"
    assert pulled.writes() == []
    assert not Contact.objects.filter(email="eva@example.com").exists()


def test_a_member_who_was_deleted_there_stays_off(pulled: Sandbox) -> None:
    pulled.act(ADA, "delete")
    catch_up()
    run_due()
    assert contact(ADA).status == "removed"
    assert pulled.writes() == []
    assert ListOptOut.objects.filter(contact__email=ADA, source="remote").count() == 2


def test_our_own_writes_come_back_as_no_news_on_v3(pulled: Sandbox) -> None:
    member = Member.objects.get(email=ADA)
    member.is_free, member.is_sustainer = False, True
    member.save()
    run_due()
    assert catch_up().again == by_wire(1, 0), "v1's feeds name no lists, so there she is read once more"


# The tasks


def test_the_task_pulls_and_the_nightly_one_walks(pulled: Sandbox) -> None:
    pulled.act(ADA, "leave", list=NEWSLETTER)
    tasks.pull()
    assert contact(ADA).state == "pending"  # type: ignore[attr-defined]
    walked = account().walk
    tasks.pull_all()
    assert pull.is_walking(account())
    tasks.pull_all()
    assert account().walk == walked + 1, "one walk at a time"
    tasks.pull()
    assert not pull.is_walking(account())


def test_a_copy_pulls_nothing(pulled: Sandbox) -> None:
    Account.objects.update(environment="elsewhere")
    tasks.pull()
    assert pulled.requests() == []


# Lists


def test_lists_are_read_once_in_an_hour_in_the_place_of_what_changed(pulled: Sandbox) -> None:
    pulled.control("act", {"do": "rename_list", "list": NEWSLETTER, "to": "News"})
    assert one_turn().turn is Turn.CHANGES
    Account.objects.update(lists_read_at=DatabaseNow() - timedelta(hours=1, minutes=1))
    pulled.forget()
    assert one_turn().turn is Turn.LISTS
    assert len(pulled.requests()) == 1
    assert ContactList.objects.get(key="newsletter").name == "News"
    assert one_turn().turn is Turn.CHANGES


def read_the_lists() -> None:
    Account.objects.update(lists_read_at=DatabaseNow() - timedelta(hours=1, minutes=1))
    assert one_turn().turn is Turn.LISTS


def test_a_bound_list_that_vanished_holds_itself_and_nothing_else(pulled: Sandbox) -> None:
    one_turn()
    run_due()
    pulled.act("", "delete_list", list=NEWSLETTER)
    read_the_lists()
    assert contact(ADA).state == "refused", "nobody says that she is in sync"  # type: ignore[attr-defined]
    member = Member.objects.get(email=ADA)
    member.is_free, member.is_sustainer = False, True
    member.save()
    run_due()
    assert pulled.lists_of(ADA) == {SUSTAINERS}
    assert (contact(ADA).refusal, contact(ADA).hold) == ("missing", "")
    assert not ListOptOut.objects.exists(), "that she is not on it says nothing about her"
    assert "gone at Constant Contact" in verdict_of(ADA)


def test_another_list_takes_the_place_of_one_that_vanished(pulled: Sandbox) -> None:
    one_turn()
    pulled.act("", "delete_list", list=NEWSLETTER)
    read_the_lists()
    pulled.act("", "create_list", list="Letters")
    read_the_lists()
    catalogue.bind_list(account(), "newsletter", ContactList.objects.get(name="Letters").remote_id)
    run_due()
    assert pulled.lists_of(ADA) == {FREE, "Letters"}
    assert contact(ADA).state == "in_sync"  # type: ignore[attr-defined]


def verdict_of(email: str) -> str:
    return run("ctct_explain", email).out


@pytest.mark.skipif(by_wire(True, False), reason="v1 tells of opt-outs among the changes")
def test_opt_outs_are_asked_for_by_themselves_now_and_then(pulled: Sandbox) -> None:
    Account.objects.update(opt_outs_pulled_to=DatabaseNow() - timedelta(minutes=20))
    pulled.act(ADA, "unsubscribe")
    pulled.forget()
    assert one_turn().turn is Turn.OPT_OUTS
    assert len(pulled.requests()) == 1
    run_due()
    assert contact(ADA).status == "do_not_mail"
    assert one_turn().turn is Turn.CHANGES


# The first pull, approval, and what waits


def test_the_first_pull_takes_what_it_finds_and_nothing_is_sent_before_the_plan_is_approved(
    connected: Sandbox, told: list[tuple[str, str]]
) -> None:
    connected.add(ADA, NEWSLETTER, UNMANAGED)
    connected.add(BOB, FREE)
    connected.add(EVE, FREE)
    connected.act(BOB, "unsubscribe")
    Account.objects.update(approved_at=None, pulled_at=None)
    for email in (ADA, BOB):
        Member.objects.create(email=email)
    run_due()
    assert connected.writes() == []
    assert lists_of(ADA) == by_wire({NEWSLETTER}, {NEWSLETTER, UNMANAGED})
    assert told == [(BOB, "remote")]
    assert {one.email for one in Contact.objects.filter(desired_gen=0)} == {EVE}
    connected.forget()
    plan = services.forecast(contact(ADA).pk).plan
    assert {ContactList.objects.get(remote_id=one).name for one in plan.adds} == {FREE}  # type: ignore[union-attr]
    assert connected.requests() == []
    assert acts.approve(account(), by="Olga") == 2
    run_due()
    assert connected.lists_of(ADA) == {FREE, UNMANAGED}
    assert connected.status_of(BOB) == "Do Not Mail"


def test_an_account_with_nobody_in_it_needs_no_approval(connected: Sandbox) -> None:
    Account.objects.update(approved_at=None, pulled_at=None)
    Member.objects.create(email=ADA)
    run_due()
    assert connected.lists_of(ADA) == {FREE}


def test_an_opt_out_is_sent_before_the_plan_is_approved(pulled: Sandbox) -> None:
    Account.objects.update(approved_at=None)
    acts.opt_out(contact(ADA))
    run_due()
    assert pulled.status_of(ADA) == "Do Not Mail"


def test_a_permit_for_anything_else_is_refused_however_the_worker_came_to_it(pulled: Sandbox) -> None:
    Account.objects.update(approved_at=None)
    member = Member.objects.get(email=ADA)
    member.is_free = False
    member.save()
    with services.connect("default") as link:
        result = services.reconcile(link, contact(ADA).pk)
    assert getattr(result.error, "code", "") == "not_approved"
    assert WriteAttempt.objects.count() == 1, "the write of the beginning"
    assert contact(ADA).attempts == 0


def test_after_a_restore_the_news_is_read_before_anybody_is_added(pulled: Sandbox) -> None:
    pulled.act(ADA, "leave", list=NEWSLETTER)
    Account.objects.update(pulled_at=DatabaseNow() - timedelta(days=1))
    Member.objects.create(email=BOB)
    run_due()
    assert is_news_feed(pulled.requests()[0])
    assert [one["method"] for one in pulled.requests()][: by_wire(3, 1)] == ["GET"] * by_wire(3, 1)
    assert pulled.lists_of(ADA) == {FREE}
    assert pulled.lists_of(BOB) == {FREE}


def test_while_the_news_cannot_be_read_nobody_is_added_and_removals_go_on(pulled: Sandbox) -> None:
    Account.objects.update(pulled_at=DatabaseNow() - timedelta(days=1))
    pulled.fault(by_wire("GET *updatedsince*", "GET *updated_after*"), "status", status=503, times=50)
    member = Member.objects.get(email=ADA)
    member.wants_newsletter = False
    member.save()
    Member.objects.create(email=BOB)
    run_due()
    assert pulled.lists_of(ADA) == {FREE}
    assert BOB not in pulled.contacts()
    pulled.control("faults", method="DELETE")
    run_due()
    assert pulled.lists_of(BOB) == {FREE}


def test_an_add_is_refused_by_the_permit_while_the_news_is_old(pulled: Sandbox) -> None:
    Member.objects.create(email=BOB)
    Account.objects.update(pulled_at=DatabaseNow() - timedelta(minutes=31))
    with services.connect("default") as link:
        result = services.reconcile(link, contact(BOB).pk)
    assert getattr(result.error, "code", "") == "behind"
    assert pulled.writes() == []


def test_an_address_that_was_erased_is_not_written_down_again(pulled: Sandbox) -> None:
    Suppression.objects.create(account=account(), address_hash=address_hash(EVE), at=DatabaseNow(), source="site")
    pulled.add(EVE, UNMANAGED)
    catch_up()
    walk()
    assert not Contact.objects.filter(email=EVE).exists()


# The full pull


def test_a_full_pull_notices_who_is_not_there_any_more(pulled: Sandbox) -> None:
    Contact.objects.create(
        account=account(), email=EVE, remote_id=by_wire("987", "0" * 8 + "-0000-0000-0000-" + "0" * 12), status="active"
    )
    walk()
    assert (contact(EVE).status, contact(EVE).remote_id) == ("", None)


def test_a_full_pull_finds_what_no_incremental_one_told_of(pulled: Sandbox) -> None:
    pulled.switch(**by_wire({"list_put_bumps_update": False}, {"updated_bump_on_list_change": False}))
    pulled.control("clock", {"advance": 3600})
    catch_up()
    pulled.act(ADA, "leave", list=NEWSLETTER)
    walk()
    run_due()
    assert ListOptOut.objects.get().list.name == NEWSLETTER


def test_who_leaves_while_a_walk_is_under_way_is_read_again(pulled: Sandbox) -> None:
    with services.connect("default") as link:
        pull.begin_walk(link.account)
    Contact.objects.update(seen_at=DatabaseNow())
    pulled.switch(**by_wire({"list_put_bumps_update": False}, {"updated_bump_on_list_change": False}))
    pulled.control("clock", {"advance": 3600})
    pulled.act(ADA, "leave", list=NEWSLETTER)
    Account.objects.update(pulled_to=DatabaseNow() + timedelta(hours=2))
    one_turn()
    run_due()
    assert ListOptOut.objects.get().list.name == NEWSLETTER


@pytest.mark.parametrize("pages", [1, 2, 3, 4])
def test_a_full_pull_that_was_stopped_goes_on_where_it_was(pulled: Sandbox, pages: int) -> None:
    pulled.reset(*({"email": f"p{number:03}@example.com", "lists": [FREE]} for number in range(by_wire(170, 2100))))
    Contact.objects.all().delete()
    Account.objects.update(pulled_to=None)
    with services.connect("default") as link:
        for _ in range(pages):
            pull.pull(link, seconds=-1)
    walk_of, seen = account().walk, account().walk_seen
    assert seen > 0
    outcome = one_turn()
    assert outcome.finished
    assert account().walk_seen == seen + outcome.seen
    assert account().walk == walk_of
    assert Contact.objects.count() == by_wire(170, 2100)
    assert Contact.objects.exclude(walk=walk_of).count() == 0


def test_two_pulls_at_once_are_one(pulled: Sandbox) -> None:
    with services.connect("default") as link:
        Account.objects.update(pull_lease="0" * 32, pull_lease_until=DatabaseNow() + timedelta(minutes=1))
        assert pull.pull(link).turn is Turn.NOTHING
        assert pulled.requests() == []
        Account.objects.update(pull_lease_until=DatabaseNow() - timedelta(seconds=1))
        assert pull.pull(link).turn is Turn.CHANGES


# Opt-outs are known at once


def use_up(calls: int) -> None:
    """Let so many of the day's calls be used up."""
    Quota.objects.update(used=calls, day=timezone.now().astimezone(UTC).date())


def test_an_unsubscribe_is_known_before_anybody_reads_her(pulled: Sandbox, told: list[tuple[str, str]]) -> None:
    pulled.act(ADA, "unsubscribe")
    catch_up()
    ada = contact(ADA)
    assert (ada.status, ada.opted_out_source) == ("do_not_mail", "remote")
    assert ada.opted_out_at is not None
    assert told == [(ADA, "remote")]
    one_turn()
    run_due()
    assert told == [(ADA, "remote")], "the site is told once"
    assert contact(ADA).opted_out_at >= ada.opted_out_at, "it only ever rises"


def test_the_site_is_told_once_where_the_worker_came_first(pulled: Sandbox, told: list[tuple[str, str]]) -> None:
    pulled.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    run_due()
    catch_up()
    run_due()
    assert told == [(ADA, "remote")]


def test_when_the_days_calls_run_low_an_unsubscribe_still_arrives(pulled: Sandbox) -> None:
    pulled.act(ADA, "unsubscribe")
    use_up(9000)
    outcome = catch_up()
    assert (outcome.turn, outcome.error) == (Turn.CHANGES, None)
    assert contact(ADA).status == "do_not_mail"
    run_due()
    assert contact(ADA).state == "refused"  # type: ignore[attr-defined]


def test_a_full_pull_leaves_the_last_calls_to_opt_outs(pulled: Sandbox) -> None:
    use_up(9000)
    assert getattr(walk().error, "code", "") == "quota"
    assert pull.is_walking(account())


def test_an_unsubscribe_is_read_before_all_adds(pulled: Sandbox) -> None:
    for number in range(3):
        Member.objects.create(email=f"p{number}@example.com")
    pulled.act(ADA, "unsubscribe")
    catch_up()
    assert outbox.due(account().pk, limit=1, upto=Priority.REMOVAL) == [contact(ADA).pk]


@pytest.mark.skipif(by_wire(True, False), reason="v1's feeds name no lists")
def test_who_is_off_a_list_is_read_before_all_adds(pulled: Sandbox) -> None:
    pulled.act(ADA, "leave", list=NEWSLETTER)
    catch_up()
    assert outbox.due(account().pk, limit=1, upto=Priority.REMOVAL) == [contact(ADA).pk]


def test_a_full_pull_has_who_is_off_a_list_read_before_all_adds(pulled: Sandbox) -> None:
    pulled.switch(**by_wire({"list_put_bumps_update": False}, {"updated_bump_on_list_change": False}))
    pulled.control("clock", {"advance": 3600})
    catch_up()
    run_due()
    pulled.act(ADA, "leave", list=NEWSLETTER)
    walk()
    assert outbox.due(account().pk, limit=1, upto=Priority.REMOVAL) == [contact(ADA).pk]


@pytest.mark.parametrize("hold", [one for one in Hold.values if one])
def test_an_unsubscribe_is_known_of_who_is_held(pulled: Sandbox, told: list[tuple[str, str]], hold: str) -> None:
    Contact.objects.filter(email=ADA).update(hold=hold, due_at=None)
    pulled.act(ADA, "unsubscribe")
    catch_up()
    assert (contact(ADA).status, contact(ADA).hold) == ("do_not_mail", hold)
    assert contact(ADA).opted_out_at is not None
    assert told == [(ADA, "remote")]


def test_an_unsubscribe_under_another_address_is_hers(pulled: Sandbox, told: list[tuple[str, str]]) -> None:
    pulled.act(ADA, "edit", to="eva@example.com")
    catch_up()
    run_due()
    assert contact(ADA).hold == "review"
    pulled.act("eva@example.com", "unsubscribe")
    catch_up()
    assert contact(ADA).status == "do_not_mail"
    assert told == [(ADA, "remote")]


def test_an_opt_out_under_way_stays_the_sites(pulled: Sandbox, told: list[tuple[str, str]]) -> None:
    acts.opt_out(contact(ADA))
    pulled.act(ADA, "unsubscribe")
    catch_up()
    assert (contact(ADA).opted_out_source, contact(ADA).opt_out_wanted) == ("site", True)
    run_due()
    assert (contact(ADA).opted_out_source, contact(ADA).opt_out_wanted) == ("site", False)
    assert told == [(ADA, "site")]


def test_her_own_act_counts_only_once_the_pull_has_told_of_the_unsubscribe(pulled: Sandbox) -> None:
    """Before that nothing had shown it to whoever acted: it need not have been her."""
    pulled.act(ADA, "unsubscribe")
    time.sleep(1.1)  # v3 counts in whole seconds
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    catch_up()
    run_due()
    assert pulled.status_of(ADA) == "Do Not Mail"
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    for _ in range(2):
        run_due()
        assert pulled.lists_of(ADA) == {NEWSLETTER}
        catch_up()
    assert contact(ADA).status == "active"


def test_an_unsubscribe_between_reading_and_writing_is_not_written_over(pulled: Sandbox, meanwhile: Events) -> None:
    def leave() -> None:
        Contact.objects.filter(email=ADA).update(status="do_not_mail", opted_out_at=DatabaseNow())

    member = Member.objects.get(email=ADA)
    member.is_free, member.is_sustainer = False, True
    member.save()
    meanwhile.after["get"] = meanwhile.once(leave)
    run_due()
    assert pulled.writes() == []
    assert contact(ADA).error_code == "stale"


def test_the_plan_knows_who_unsubscribed_before_it_is_approved(pulled: Sandbox) -> None:
    Account.objects.update(approved_at=None)
    member = Member.objects.get(email=ADA)
    member.is_free, member.is_sustainer = False, True
    member.save()
    pulled.act(ADA, "unsubscribe")
    catch_up()
    run_due()
    assert isinstance(services.forecast(contact(ADA).pk).plan, Refuse)


def test_the_plan_knows_who_unsubscribed_before_anybody_looked_at_her(connected: Sandbox) -> None:
    connected.add(ADA, FREE)
    Account.objects.update(approved_at=None, pulled_at=None)
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    assert isinstance(services.forecast(contact(ADA).pk).plan, Update)
    connected.act(ADA, "unsubscribe")
    catch_up()
    run_due()
    assert isinstance(services.forecast(contact(ADA).pk).plan, Refuse)
    assert connected.writes() == []


# What a stranger opted out of follows her

EVA = "eva@example.com"


@pytest.fixture
def left(pulled: Sandbox) -> Sandbox:
    """Eve, a stranger, has left the newsletter; then her address was changed over there."""
    pulled.add(EVE, NEWSLETTER, UNMANAGED)
    walk()
    pulled.act(EVE, "leave", list=NEWSLETTER)
    walk()
    assert ListOptOut.objects.get().contact.email == EVE
    pulled.act(EVE, "edit", to=EVA)
    pulled.forget()
    return pulled


def test_what_a_stranger_left_follows_her_to_an_address_that_a_pull_tells_of(left: Sandbox) -> None:
    catch_up()
    Member.objects.create(email=EVA, wants_newsletter=True)
    run_due()
    assert left.lists_of(EVA) == {FREE, UNMANAGED}
    assert ListOptOut.objects.filter(contact__email=EVA, list__key="newsletter", source="remote").exists()


def test_what_a_stranger_left_follows_her_to_an_address_that_a_member_has(left: Sandbox) -> None:
    Member.objects.create(email=EVA, wants_newsletter=True)
    catch_up()
    run_due()
    assert left.lists_of(EVA) == {FREE, UNMANAGED}


def test_what_a_stranger_left_follows_her_to_an_address_that_a_worker_finds(left: Sandbox) -> None:
    Member.objects.create(email=EVA, wants_newsletter=True)
    run_due()
    assert left.lists_of(EVA) == {FREE, UNMANAGED}
    catch_up()
    run_due()
    assert left.lists_of(EVA) == {FREE, UNMANAGED}


# What was edited there


@pytest.fixture
def named(pulled: Sandbox) -> Sandbox:
    """Ada's first name is the site's, and a pull has told of that write already."""
    member = Member.objects.get(email=ADA)
    member.first_name = "Ada"
    member.save()
    run_due()
    catch_up()
    run_due()
    pulled.control("clock", {"advance": 30})
    pulled.forget()
    return pulled


def test_an_edited_field_is_read_again_and_is_the_sites_again(named: Sandbox) -> None:
    time.sleep(3)  # within two seconds of our own write nobody tells whose it was
    named.act(ADA, "edit", first_name="Augusta")
    assert catch_up().again == 1
    run_due()
    assert named.contacts()[ADA]["fields"]["FirstName"] == "Ada"


@pytest.mark.skipif(by_wire(True, False), reason="v1's walk tells of no edit, its incremental feed does")
def test_a_walk_notices_an_edited_field_that_no_incremental_pull_told_of(named: Sandbox) -> None:
    time.sleep(3)
    named.act(ADA, "edit", first_name="Augusta")
    Account.objects.update(pulled_to=DatabaseNow() + timedelta(hours=2))
    assert walk().again == 1
    run_due()
    assert named.contacts()[ADA]["fields"]["FirstName"] == "Ada"
    assert walk().again == 0


def test_an_account_is_quiet_once_its_own_writes_were_told(pulled: Sandbox) -> None:
    member = Member.objects.get(email=ADA)
    member.first_name = "Ada"
    member.save()
    run_due()
    assert catch_up().again == by_wire(1, 0)
    run_due()
    pulled.control("clock", {"advance": 600})
    one_turn()
    run_due()
    pulled.forget()
    assert one_turn().again == 0
    run_due()
    assert len(pulled.requests()) == by_wire(3, 1)


# After a restore


def dump() -> list[str]:
    """Return a backup of the site's members and of our rows."""
    made = StringIO()
    call_command("dumpdata", "site", "django_ctct", stdout=made)
    return [made.getvalue()]


def put_back(backup: list[str], folder: Path) -> None:
    path = folder / "backup.json"
    path.write_text(backup[0])
    for table in (Member, Contact):
        table.objects.all().delete()  # type: ignore[attr-defined]
    call_command("loaddata", str(path), verbosity=0)


@pytest.fixture
def restored(pulled: Sandbox, tmp_path: Path) -> Sandbox:
    """A backup from a moment ago, put back: Bob was about to be added in it, and has unsubscribed since."""
    pulled.add(BOB, UNMANAGED)
    Member.objects.create(email=BOB)
    backup = dump()
    run_due()
    assert pulled.lists_of(BOB) == {FREE, UNMANAGED}
    pulled.act(BOB, "leave", list=FREE)
    pulled.act(ADA, "leave", list=NEWSLETTER)
    put_back(backup, tmp_path)
    pulled.forget()
    return pulled


def test_loading_members_and_our_rows_sends_nothing(restored: Sandbox) -> None:
    assert restored.requests() == []


def test_after_a_young_backup_was_put_back_the_command_has_adds_wait_for_the_news(restored: Sandbox) -> None:
    restored.fault(by_wire("GET *updatedsince*", "GET *updated_after*"), "status", status=503, times=1)
    assert run("ctct_pull", "--restored").code == 1
    assert pull.is_walking(account())
    assert account().pulled_at is None
    with services.connect("default") as link:
        result = services.reconcile(link, contact(BOB).pk)
    assert getattr(result.error, "code", "") == "behind"
    assert restored.writes() == []


def test_after_a_young_backup_was_put_back_all_is_read_before_anybody_is_added(restored: Sandbox) -> None:
    walked = account().walk
    done = run("ctct_pull", "--restored")
    assert done.code == 0
    assert is_news_feed(restored.requests()[0])
    assert (account().walk, pull.is_walking(account())) == (walked + 1, False)
    run_due()
    assert restored.lists_of(ADA) == {FREE}


def test_after_an_older_backup_was_put_back_nobody_is_added_before_the_pull(restored: Sandbox) -> None:
    Account.objects.update(pulled_at=DatabaseNow() - timedelta(hours=1))
    run_due()
    assert is_news_feed(restored.requests()[0])
    assert restored.lists_of(ADA) == {FREE}


def test_a_walk_that_a_backup_was_in_the_middle_of_begins_anew(pulled: Sandbox) -> None:
    with services.connect("default") as link:
        pull.begin_walk(link.account)
    Account.objects.update(walk_cursor="from before")
    walked = account().walk
    pull.restored(account())
    assert (account().walk, account().walk_cursor, pull.is_walking(account())) == (walked + 1, "", True)


def is_news_feed(request: dict[str, Any]) -> bool:
    return by_wire("updatedsince=", "updated_after=") in request["path"]
