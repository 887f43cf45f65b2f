"""A changed address is one person and not a duplicate, and what she opted out of follows her (docs/addresses.md)."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F

from django_ctct import acts, addresses, services, vault
from django_ctct.models import (
    Account,
    Contact,
    DatabaseNow,
    FormerAddress,
    Hold,
    ListOptOut,
    Membership,
    Suppression,
    SyncState,
    WriteAttempt,
)
from django_ctct.planning import Update
from tests.account import UNMANAGED, Sandbox, by_wire, contact, make_due, run_due
from tests.flow.eventful import Events
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA, NEW, THIRD, BOB = "ada@example.com", "augusta@example.com", "lovelace@example.com", "bob@example.com"
FREE, LETTER = "Free members", "Newsletter"


@pytest.fixture
def ada(connected: Sandbox) -> Member:
    """Ada is on two managed lists over there, and on one that is not the site's."""
    connected.add(ADA, UNMANAGED)
    member = Member.objects.create(email=ADA, first_name="Ada", wants_newsletter=True)
    run_due()
    assert connected.lists_of(ADA) == {FREE, LETTER, UNMANAGED}
    connected.forget()
    return member


def moves(member: Member, email: str, **values: object) -> None:
    for name, value in {"email": email, **values}.items():
        setattr(member, name, value)
    member.save()


def settle() -> None:
    """Let workers work until nothing is left that only waits."""
    for _ in range(4):
        run_due()
        make_due()


def land() -> None:
    """Let so much time pass that no write of unknown outcome can land any more."""
    WriteAttempt.objects.update(at=F("at") - timedelta(minutes=11))
    acts.sync_now(Contact.objects.filter(desired_gen__gt=0))
    settle()


def in_sync(email: str) -> bool:
    return contact(email).state == SyncState.IN_SYNC


# Hers alone


def test_a_contact_that_is_hers_alone_is_renamed_and_keeps_its_id(connected: Sandbox, ada: Member) -> None:
    before = connected.contacts()[ADA]
    moves(ada, NEW)
    assert contact(NEW).state == SyncState.PENDING
    run_due()
    after = connected.contacts()
    assert ADA not in after
    assert (after[NEW]["id"], after[NEW]["uuid"]) == (before["id"], before["uuid"])
    assert connected.lists_of(NEW) == {FREE, LETTER, UNMANAGED}
    assert in_sync(NEW)
    assert not Contact.objects.filter(email=ADA).exists()
    assert not FormerAddress.objects.exists()


def test_a_rename_is_a_read_by_id_a_look_for_the_new_address_and_a_put(connected: Sandbox, ada: Member) -> None:
    moves(ada, NEW)
    run_due()
    assert connected.methods() == ["GET", "GET", "PUT"]
    assert (WriteAttempt.objects.latest("at").fields, WriteAttempt.objects.latest("at").adds) == (["email"], False)
    connected.forget()
    acts.sync_now([contact(NEW)])
    run_due()
    assert connected.methods() == ["GET"], "nothing is left to look for"


def test_a_new_address_and_a_new_list_are_one_write(connected: Sandbox, ada: Member) -> None:
    moves(ada, NEW, is_free=False, is_sustainer=True, first_name="Augusta")
    run_due()
    assert connected.methods() == ["GET", "GET", "PUT"]
    assert connected.lists_of(NEW) == {"Sustainers", LETTER, UNMANAGED}
    assert connected.contacts()[NEW]["fields"]["FirstName"] == "Augusta"


def test_only_the_case_of_the_address_is_no_change(connected: Sandbox, ada: Member) -> None:
    moves(ada, " Ada@Example.COM ")
    run_due()
    assert connected.requests() == []


def test_a_contact_that_was_never_synced_is_made_under_the_new_address_only(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    moves(member, NEW)
    run_due()
    assert set(connected.contacts()) == {NEW}
    assert not FormerAddress.objects.exists()


def test_nobody_is_renamed_who_was_never_looked_at(connected: Sandbox) -> None:
    """The first address may have had a slip in it, and be a stranger's."""
    connected.add(ADA, UNMANAGED)
    member = Member.objects.create(email=ADA)
    moves(member, NEW)
    settle()
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert connected.lists_of(NEW) == {FREE}
    assert not FormerAddress.objects.exists()


def test_a_strangers_address_that_stood_there_for_a_moment_is_not_taken(connected: Sandbox, ada: Member) -> None:
    connected.add(THIRD, FREE, UNMANAGED)
    moves(ada, THIRD)
    moves(ada, NEW)
    settle()
    assert connected.lists_of(THIRD) == {FREE, UNMANAGED}
    assert connected.lists_of(NEW) == {FREE, LETTER, UNMANAGED}
    assert ADA not in connected.contacts()


def test_who_is_wished_on_no_list_is_left_alone_until_she_is(connected: Sandbox, ada: Member) -> None:
    moves(ada, NEW, is_free=False, wants_newsletter=False)
    run_due()
    assert connected.lists_of(ADA) == {UNMANAGED}
    moves(ada, NEW, is_free=True)
    run_due()
    assert connected.lists_of(NEW) == {FREE, UNMANAGED}
    assert ADA not in connected.contacts()


def test_a_plan_shows_the_new_address_and_writes_nothing(connected: Sandbox, ada: Member) -> None:
    moves(ada, NEW)
    with services.connect("default") as link:
        plan = services.preview(link, contact(NEW).pk).plan
    assert isinstance(plan, Update)
    assert (plan.address, plan.adds, plan.removes) == (NEW, frozenset(), frozenset())
    assert services.forecast(contact(NEW).pk).plan == plan
    assert connected.writes() == []


def test_a_plan_shows_who_cannot_be_renamed(connected: Sandbox, ada: Member) -> None:
    connected.act(ADA, "unsubscribe")
    moves(ada, NEW)
    with services.connect("default") as link:
        seen = services.preview(link, contact(NEW).pk)
    assert (seen.existing, seen.plan.withheld) == (None, seen.local.desired.lists)


# Opted out


def test_who_has_opted_out_on_the_site_stays_out_under_the_new_address(connected: Sandbox, ada: Member) -> None:
    acts.opt_out(contact(ADA))
    moves(ada, NEW)
    settle()
    assert connected.status_of(ADA) == "Do Not Mail"
    assert NEW not in connected.contacts()
    assert (contact(NEW).opted_out_source, contact(NEW).state) == ("site", SyncState.REFUSED)
    assert contact(NEW).opted_out_at == contact(ADA).opted_out_at


def test_who_opts_out_on_the_site_after_she_moved_is_opted_out_over_there(connected: Sandbox, ada: Member) -> None:
    moves(ada, NEW)
    acts.opt_out(contact(NEW))
    settle()
    assert connected.status_of(ADA) == "Do Not Mail"
    assert NEW not in connected.contacts()


def test_who_has_opted_out_over_there_before_we_know_is_not_renamed(connected: Sandbox, ada: Member) -> None:
    connected.act(ADA, "unsubscribe")
    moves(ada, NEW)
    run_due()
    assert connected.status_of(ADA) == "Do Not Mail"
    assert NEW not in connected.contacts()
    assert connected.writes() == []
    assert (contact(ADA).opted_out_source, contact(NEW).opted_out_source) == ("remote", "remote")
    assert contact(NEW).state == SyncState.REFUSED


def test_her_own_consent_under_the_new_address_brings_her_in(connected: Sandbox, ada: Member) -> None:
    connected.act(ADA, "unsubscribe")
    moves(ada, NEW)
    run_due()
    acts.resubscribe(contact(NEW), ["newsletter"], method="preference page")
    run_due()
    assert connected.lists_of(NEW) == {LETTER}
    assert connected.status_of(ADA) == "Do Not Mail"


def test_a_consent_given_for_the_old_address_does_not_open_the_new_one(connected: Sandbox, ada: Member) -> None:
    connected.add(NEW, UNMANAGED)
    connected.act(NEW, "unsubscribe")
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    run_due()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    run_due()
    assert connected.lists_of(ADA) == {LETTER}
    moves(ada, NEW)
    settle()
    assert connected.status_of(NEW) == "Do Not Mail"
    assert connected.status_of(ADA) == "Removed"


def test_who_came_back_by_her_own_act_is_renamed_with_what_she_asked_for(connected: Sandbox, ada: Member) -> None:
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    run_due()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    run_due()
    moves(ada, NEW)
    settle()
    assert ADA not in connected.contacts()
    assert connected.lists_of(NEW) == {LETTER}, "she asked for no other"


def test_a_list_that_she_left_on_the_site_stays_left(connected: Sandbox, ada: Member) -> None:
    acts.leave_list(ADA, "newsletter")
    moves(ada, NEW)
    settle()
    assert connected.lists_of(NEW) == {FREE, UNMANAGED}
    assert ADA not in connected.contacts()


def test_a_list_that_she_left_over_there_before_we_know_stays_left(connected: Sandbox, ada: Member) -> None:
    connected.act(ADA, "leave", list=LETTER)
    moves(ada, NEW)
    settle()
    assert connected.lists_of(NEW) == {FREE, UNMANAGED}
    assert contact(NEW).refusal == "left_list"


def test_leaving_a_list_by_an_old_mail_counts_for_her_while_the_change_is_under_way(
    connected: Sandbox, ada: Member
) -> None:
    moves(ada, NEW)
    acts.leave_list(ADA, "newsletter")
    settle()
    assert connected.lists_of(NEW) == {FREE, UNMANAGED}
    assert not Contact.objects.filter(email=ADA).exists()


def test_an_erased_address_does_not_come_back_under_another_one(connected: Sandbox, ada: Member) -> None:
    _suppress(ADA)
    moves(ada, NEW)
    settle()
    assert contact(NEW).opted_out_at is not None
    moves(ada, NEW, is_sustainer=True)
    settle()
    assert "Sustainers" not in connected.lists_of(NEW), "who was erased is put on nothing"


def test_nobody_is_renamed_to_an_address_that_was_erased(connected: Sandbox, ada: Member) -> None:
    _suppress(NEW)
    moves(ada, NEW)
    settle()
    assert NEW not in connected.contacts()
    assert connected.lists_of(ADA) == {UNMANAGED}


def _suppress(email: str) -> None:
    account = Account.objects.get()
    Suppression.objects.create(account=account, address_hash=vault.address_hash(email), at=DatabaseNow(), source="site")


# The new address is known


def test_a_new_address_that_is_known_over_there_joins_and_the_old_one_leaves(connected: Sandbox, ada: Member) -> None:
    connected.add(NEW, UNMANAGED, "Sustainers")
    before = connected.contacts()
    moves(ada, NEW)
    settle()
    after = connected.contacts()
    assert {one: after[one]["id"] for one in (ADA, NEW)} == {one: before[one]["id"] for one in (ADA, NEW)}
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert connected.lists_of(NEW) == {FREE, LETTER, UNMANAGED}
    assert in_sync(ADA)
    assert in_sync(NEW)
    assert contact(ADA).profile_from == ""
    assert contact(NEW).first_name == "Ada"


def test_a_new_address_that_has_opted_out_over_there_stays_out(connected: Sandbox, ada: Member) -> None:
    connected.add(NEW, UNMANAGED)
    connected.act(NEW, "unsubscribe")
    moves(ada, NEW)
    settle()
    assert connected.status_of(NEW) == "Do Not Mail"
    assert connected.lists_of(ADA) == {UNMANAGED}, "she does not get the mail under the old address instead"
    assert contact(NEW).state == SyncState.REFUSED


def test_a_list_that_was_left_stays_left_under_an_address_that_is_known_over_there(
    connected: Sandbox, ada: Member
) -> None:
    connected.add(NEW, UNMANAGED)
    connected.act(ADA, "leave", list=LETTER)
    moves(ada, NEW)
    settle()
    assert connected.lists_of(NEW) == {FREE, UNMANAGED}
    assert ListOptOut.objects.filter(contact__email=NEW, list__key="newsletter", source="remote").exists()


@pytest.mark.parametrize("where", ["here", "over there"])
def test_a_new_address_that_has_a_row_here_joins_and_the_old_one_leaves(
    connected: Sandbox, ada: Member, where: str
) -> None:
    if where == "over there":
        connected.add(NEW, UNMANAGED)
    Contact.objects.create(account=Account.objects.get(), email=NEW)
    moves(ada, NEW)
    settle()
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert connected.lists_of(NEW) == {FREE, LETTER} | ({UNMANAGED} if where == "over there" else set())
    assert not FormerAddress.objects.exists()


def test_an_opt_out_over_there_that_nobody_knew_reaches_a_row_that_was_there(connected: Sandbox, ada: Member) -> None:
    Contact.objects.create(account=Account.objects.get(), email=NEW)
    connected.act(ADA, "unsubscribe")
    moves(ada, NEW)
    settle()
    assert NEW not in connected.contacts()
    assert contact(NEW).opted_out_source == "remote"


def test_the_new_row_waits_until_the_old_address_was_read(connected: Sandbox, ada: Member) -> None:
    Contact.objects.create(account=Account.objects.get(), email=NEW)
    moves(ada, NEW)
    with services.connect("default") as link:
        first = services.reconcile(link, contact(NEW).pk)
    assert first.error is not None
    assert contact(NEW).error_code == "old_first"
    assert connected.writes() == []
    settle()
    assert in_sync(NEW)


def test_nobody_waits_for_an_old_address_that_is_held(connected: Sandbox) -> None:
    Contact.objects.create(account=Account.objects.get(), email=NEW)
    member = Member.objects.create(email="no address")
    run_due()
    assert contact("no address").hold == Hold.INVALID
    moves(member, NEW)
    settle()
    assert connected.lists_of(NEW) == {FREE}


def test_both_addresses_are_known_over_there_before_the_first_sync(connected: Sandbox) -> None:
    connected.add(ADA, FREE, UNMANAGED)
    connected.add(NEW, UNMANAGED)
    member = Member.objects.create(email=ADA)
    ids = {email: str(by_wire(one["id"], one["uuid"])) for email, one in connected.contacts().items()}
    Contact.objects.update(remote_id=ids[ADA], status="active")  # as a pull tells it
    moves(member, NEW)
    Contact.objects.update(remote_id=ids[NEW], status="active")  # the same, a pull later
    settle()
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert connected.lists_of(NEW) == {FREE, UNMANAGED}


def test_who_was_renamed_over_there_first_is_recognised(connected: Sandbox, ada: Member) -> None:
    connected.act(ADA, "edit", to=NEW)
    moves(ada, ADA, first_name="Augusta")
    run_due()
    assert contact(ADA).hold == Hold.REVIEW
    connected.forget()
    moves(ada, NEW)
    run_due()
    assert in_sync(NEW)
    assert connected.methods() == ["GET", "PUT"], "the put brings her name; nobody is made a second time"


def test_a_rename_by_others_is_still_held_for_a_look(connected: Sandbox, ada: Member) -> None:
    connected.act(ADA, "edit", to=THIRD)
    moves(ada, NEW)
    run_due()
    assert (contact(NEW).hold, contact(NEW).error_code) == (Hold.REVIEW, "renamed")
    assert connected.writes() == []


# A shared address


def test_who_was_renamed_over_there_to_another_members_address_is_made_anew(connected: Sandbox, ada: Member) -> None:
    hers = connected.contacts()[ADA]["id"]
    connected.act(ADA, "edit", to=BOB)
    Member.objects.create(email=BOB)
    moves(ada, ADA, is_free=False)  # a removal: she is read before Bob is
    settle()
    after = connected.contacts()
    assert after[BOB]["id"] == hers
    assert connected.lists_of(ADA) == {LETTER}
    assert connected.lists_of(BOB) == {FREE, UNMANAGED}
    assert in_sync(ADA)
    assert in_sync(BOB)


def test_one_of_two_moves_and_the_other_keeps_the_contact(connected: Sandbox, ada: Member) -> None:
    spouse = Member.objects.create(email=ADA, first_name="Bob", is_sustainer=True, is_free=False)
    run_due()
    assert connected.lists_of(ADA) == {FREE, LETTER, "Sustainers", UNMANAGED}
    moves(ada, NEW)
    spouse.save()
    settle()
    assert connected.lists_of(ADA) == {"Sustainers", UNMANAGED}
    assert connected.lists_of(NEW) == {FREE, LETTER}
    assert connected.contacts()[ADA]["fields"]["FirstName"] == "Bob", "the profile passes on"
    assert connected.contacts()[NEW]["fields"]["FirstName"] == "Ada"


def test_an_opt_out_of_a_shared_address_counts_for_both(connected: Sandbox, ada: Member) -> None:
    Member.objects.create(email=ADA, first_name="Bob")
    connected.act(ADA, "unsubscribe")
    moves(ada, NEW)
    settle()
    assert NEW not in connected.contacts()
    assert connected.status_of(ADA) == "Do Not Mail"


def test_both_move_to_the_same_new_address(connected: Sandbox, ada: Member) -> None:
    spouse = Member.objects.create(email=ADA, is_sustainer=True, is_free=False)
    run_due()
    moves(ada, NEW)
    moves(spouse, NEW)
    settle()
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert connected.lists_of(NEW) == {FREE, LETTER, "Sustainers"}


def test_two_members_change_places(connected: Sandbox, ada: Member) -> None:
    bob = Member.objects.create(email=BOB, is_sustainer=True, is_free=False)
    run_due()
    moves(ada, BOB)
    moves(bob, ADA)
    settle()
    assert connected.lists_of(BOB) == {FREE, LETTER}
    assert connected.lists_of(ADA) == {"Sustainers", UNMANAGED}
    assert (in_sync(ADA), in_sync(BOB)) == (True, True)


def test_another_member_takes_the_old_address_before_the_change_is_sent(connected: Sandbox, ada: Member) -> None:
    acts.leave_list(ADA, "newsletter")
    moves(ada, NEW)
    Member.objects.create(email=ADA, is_sustainer=True, is_free=False, wants_newsletter=True)
    settle()
    assert connected.lists_of(ADA) == {"Sustainers", UNMANAGED}, "at this address the letter was left"
    assert connected.lists_of(NEW) == {FREE}
    assert {one.contact.email for one in ListOptOut.objects.all()} == {ADA, NEW}


# More than once


def test_there_and_back_before_a_sync_changes_nothing(connected: Sandbox, ada: Member) -> None:
    moves(ada, NEW)
    moves(ada, ADA)
    settle()
    assert connected.writes() == []
    assert connected.lists_of(ADA) == {FREE, LETTER, UNMANAGED}
    assert in_sync(ADA)
    assert not FormerAddress.objects.exists()


def test_two_changes_before_a_sync_are_one_rename(connected: Sandbox, ada: Member) -> None:
    moves(ada, NEW)
    moves(ada, THIRD)
    run_due()
    assert set(connected.contacts()) == {THIRD}
    assert connected.methods() == ["GET", "GET", "PUT"]
    assert not FormerAddress.objects.exists()


def test_there_and_back_with_a_sync_between_is_two_renames(connected: Sandbox, ada: Member) -> None:
    before = connected.contacts()[ADA]["id"]
    moves(ada, NEW)
    run_due()
    moves(ada, ADA)
    run_due()
    assert set(connected.contacts()) == {ADA}
    assert connected.contacts()[ADA]["id"] == before


def test_who_loses_her_address_leaves_the_managed_lists(connected: Sandbox, ada: Member) -> None:
    moves(ada, "")
    run_due()
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert not Membership.objects.exists()


def test_a_new_address_that_nobody_can_have_takes_the_old_one_off_all_the_same(connected: Sandbox, ada: Member) -> None:
    moves(ada, "no address")
    settle()
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert contact("no address").hold == Hold.INVALID


def test_an_opt_out_arrives_although_the_new_address_is_one_that_nobody_can_have(
    connected: Sandbox, ada: Member
) -> None:
    moves(ada, "no address")
    acts.opt_out(contact("no address"))
    settle()
    assert connected.status_of(ADA) == "Do Not Mail"


# Trouble on the way


def test_a_rename_without_an_answer_is_verified_and_not_repeated(connected: Sandbox, ada: Member) -> None:
    connected.fault("PUT */contacts/*", "reset_after", times=1)
    moves(ada, NEW)
    settle()
    assert connected.lists_of(NEW) == {FREE, LETTER, UNMANAGED}
    assert FormerAddress.objects.exists(), "until it is certain that nothing lands late"
    land()
    assert [one["method"] for one in connected.writes()] == ["PUT"]
    assert in_sync(NEW)
    assert not FormerAddress.objects.exists()


def test_a_rename_that_did_not_arrive_is_sent_again(connected: Sandbox, ada: Member) -> None:
    connected.fault("PUT */contacts/*", "reset_before", times=1)
    moves(ada, NEW)
    settle()
    land()
    assert set(connected.contacts()) == {NEW}
    assert in_sync(NEW)


def test_a_rename_that_lands_late_over_a_newer_one_is_put_right(connected: Sandbox, ada: Member) -> None:
    connected.fault("PUT */contacts/*", "late", seconds=1, times=1)
    moves(ada, NEW)
    run_due()
    moves(ada, THIRD)
    run_due()
    time.sleep(1.5)
    settle()
    assert set(connected.contacts()) == {THIRD}
    land()
    assert in_sync(THIRD)
    assert not FormerAddress.objects.exists()


def test_a_rename_that_lands_after_she_went_back_is_put_right(connected: Sandbox, ada: Member) -> None:
    connected.fault("PUT */contacts/*", "late", seconds=1, times=1)
    moves(ada, NEW)
    run_due()
    moves(ada, ADA)
    run_due()
    time.sleep(1.5)
    settle()
    land()
    assert set(connected.contacts()) == {ADA}
    assert in_sync(ADA)


def test_a_contact_made_late_under_the_old_address_is_renamed_and_not_doubled(connected: Sandbox) -> None:
    connected.fault("POST */contacts", "late", seconds=1, times=1)
    member = Member.objects.create(email=ADA)
    run_due()
    moves(member, NEW)
    run_due()
    assert contact(NEW).error_code == "unclear"
    assert connected.contacts() == {}
    time.sleep(1.5)
    settle()
    land()
    assert set(connected.contacts()) == {NEW}
    assert in_sync(NEW)


def test_an_address_that_is_taken_between_the_look_and_the_write(connected: Sandbox, ada: Member) -> None:
    connected.fault("PUT */contacts/*", "status", status=409, body=by_wire("Error 409", "[]"), times=1)
    moves(ada, NEW)
    run_due()
    connected.add(NEW, UNMANAGED)
    settle()
    assert connected.lists_of(ADA) == {UNMANAGED}
    assert connected.lists_of(NEW) == {FREE, LETTER, UNMANAGED}


def test_an_opt_out_over_there_while_a_rename_is_unclear_is_not_dodged(connected: Sandbox, ada: Member) -> None:
    connected.fault("PUT */contacts/*", "reset_before", times=1)
    moves(ada, NEW)
    run_due()
    connected.act(ADA, "unsubscribe")
    settle()
    assert contact(NEW).error_code == "unclear"
    land()
    assert connected.status_of(ADA) == "Do Not Mail"
    assert NEW not in connected.contacts()
    assert contact(NEW).opted_out_source == "remote"


def test_the_change_comes_while_a_worker_is_at_the_old_address(
    connected: Sandbox, ada: Member, meanwhile: Events
) -> None:
    meanwhile.after["get"] = meanwhile.once(lambda: moves(ada, NEW))
    acts.leave_list(ADA, "newsletter")
    settle()
    assert set(connected.contacts()) == {NEW}
    assert connected.lists_of(NEW) == {FREE, UNMANAGED}
    assert (contact(NEW).state, contact(NEW).refusal) == (SyncState.REFUSED, "left_list")


def test_the_address_changes_again_while_a_worker_parts_it_from_the_old_one(
    connected: Sandbox, ada: Member, meanwhile: Events
) -> None:
    connected.add(NEW, UNMANAGED)
    moves(ada, NEW)
    meanwhile.after["find"] = meanwhile.once(lambda: moves(ada, THIRD))
    settle()
    assert connected.lists_of(THIRD) == {FREE, LETTER, UNMANAGED}
    assert connected.lists_of(NEW) == {UNMANAGED}
    assert ADA not in connected.contacts()


def test_a_worker_that_lost_the_contact_parts_nothing(connected: Sandbox, ada: Member, meanwhile: Events) -> None:
    connected.add(NEW, UNMANAGED)
    moves(ada, NEW)
    thief = uuid4()
    meanwhile.after["find"] = meanwhile.once(lambda: Contact.objects.update(lease_token=thief))
    run_due()
    assert list(Contact.objects.values_list("email", "lease_token")) == [(NEW, thief)]
    Contact.objects.update(lease_until=DatabaseNow() - timedelta(seconds=1))
    settle()
    assert connected.lists_of(NEW) == {FREE, LETTER, UNMANAGED}
    assert connected.lists_of(ADA) == {UNMANAGED}


def test_what_a_stranger_at_her_old_address_opted_out_of_is_read_before_she_joins(connected: Sandbox) -> None:
    """A row that nobody claims any more is claimed for the look: it is read, and what it tells counts for her."""
    Contact.objects.create(account=Account.objects.get(), email=NEW)
    member = Member.objects.create(email=ADA)
    moves(member, NEW)
    connected.add(ADA, FREE)
    connected.act(ADA, "unsubscribe")
    Contact.objects.filter(email=ADA).update(claimed=False, due_at=None, applied_gen=F("desired_gen"))
    settle()
    assert contact(ADA).claimed
    assert NEW not in connected.contacts()
    assert contact(NEW).opted_out_at is not None
    assert contact(NEW).state == SyncState.REFUSED


def test_an_opt_out_of_who_is_nowhere_over_there_needs_no_address_that_can_be_sent(
    connected: Sandbox, ada: Member
) -> None:
    moves(ada, "no address")
    acts.opt_out(contact("no address"))
    connected.reset()
    run_due()
    assert connected.writes() == []
    assert contact("no address").error_code == ""
    assert contact("no address").opted_out_at is not None


# By hand


def test_opt_outs_are_copied_once_and_the_later_one_stands(connected: Sandbox, ada: Member) -> None:
    account = Account.objects.get()
    new = Contact.objects.create(account=account, email=NEW)
    acts.leave_list(ADA, "newsletter")
    acts.leave_list(NEW, "free")
    acts.leave_list(NEW, "newsletter")
    later = ListOptOut.objects.get(contact=new, list__key="newsletter").at
    acts.leave_list(ADA, "free")
    for _ in range(2):
        addresses.copy_opt_outs(contact(ADA).pk, new.pk)
    times = dict(ListOptOut.objects.filter(contact=new).values_list("list__key", "at"))
    assert times == {
        "newsletter": later,
        "free": ListOptOut.objects.get(contact__email=ADA, list__key="free").at,
    }
