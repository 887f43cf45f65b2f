"""A drain: urgent ones first, pauses kept, and no error that gets lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection

from django_ctct import acts, catalogue, drain, ledger, outbox, permits, services, signals, tasks, vault
from django_ctct.exceptions import ConfigurationError, ListNotBound, RequestRejected
from django_ctct.models import Account, Contact, ContactList, Hold, ListOptOut, Quota, SyncState, WriteAttempt
from django_ctct.planning import Nothing, OptOut, Refuse, Update
from django_ctct.types import OptInSource, OptOutSource, Outcome, Priority
from tests.account import UNMANAGED, Sandbox, by_wire, contact, make_due, run_due
from tests.flow.eventful import Events
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA, BOB = "ada@example.com", "bob@example.com"


def limited(settings: Any, **limits: Any) -> None:
    account = {**settings.CTCT["ACCOUNTS"]["default"], **limits}
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {"default": account}}


def test_removals_go_before_additions(connected: Sandbox) -> None:
    old = Member.objects.create(email=ADA)
    run_due()
    for number in range(3):
        Member.objects.create(email=f"m{number}@example.com")
    old.is_free = False
    old.save()
    done = run_due()
    assert done[0].contact_id == contact(ADA).pk


def test_when_the_days_calls_run_low_only_removals_go_on(connected: Sandbox, settings: Any) -> None:
    one, two = Member.objects.create(email=ADA), Member.objects.create(email=BOB)
    run_due()
    connected.forget()
    limited(settings, CALLS_PER_DAY=30)
    Quota.objects.update(used=27)
    Member.objects.create(email="new@example.com")
    one.is_free = False
    one.save()
    outcome = drain.drain("default")
    assert outcome.failed == 1
    assert connected.lists_of(ADA) == set()
    assert contact("new@example.com").state == SyncState.PENDING
    assert contact("new@example.com").attempts == 0, "the day's end is not the contact's fault"
    two.is_free = False
    two.save()
    outcome = drain.drain("default")
    assert outcome.paused == "the calls of this day are used up"
    assert drain.drain("default").done == 0
    assert contact(BOB).state == SyncState.PENDING


@pytest.mark.parametrize("shape", ["403_mashery", "429"])
def test_too_many_calls_pause_the_account_and_cost_no_try(connected: Sandbox, shape: str) -> None:
    connected.switch(rate_limit=True, calls_per_second=1, over_limit=shape)
    for number in range(4):
        Member.objects.create(email=f"m{number}@example.com")
    outcome = drain.drain("default")
    account = Account.objects.get()
    assert outcome.paused == "too many calls"
    assert account.paused_until is not None
    assert max(Contact.objects.values_list("attempts", flat=True)) <= 1
    assert not Contact.objects.exclude(hold="").exists()
    assert drain.drain("default").done == 0, "nobody calls while the account rests"
    connected.switch(rate_limit=False)
    Account.objects.update(paused_until=None)
    make_due()
    run_due()
    assert len(connected.contacts()) == 4


def test_a_drain_ends_when_its_time_is_over(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    assert drain.drain("default", seconds=0).done == 0
    assert contact(ADA).state == SyncState.PENDING


def test_one_contact_that_fails_does_not_keep_the_others(connected: Sandbox) -> None:
    Member.objects.create(email="broken address")
    Member.objects.create(email=ADA)
    outcome = drain.drain("default")
    assert (outcome.done, outcome.failed) == (1, 1)


def test_what_is_not_due_or_taken_by_another_is_passed_over(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    outbox.claim(contact(ADA).pk)
    with services.connect("default") as link:
        result = services.reconcile(link, contact(ADA).pk)
    assert (result.plan, result.error) == (None, None)


@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
def test_a_write_without_an_answer_is_verified_and_not_repeated(connected: Sandbox, kind: str) -> None:
    Member.objects.create(email=ADA)
    connected.fault("POST */contacts", kind)
    run_due()
    assert WriteAttempt.objects.get().outcome in (Outcome.AMBIGUOUS, Outcome.OK)
    make_due()
    run_due()
    make_due()
    run_due()
    assert [one["method"] for one in connected.writes()] == ["POST"]
    assert connected.lists_of(ADA) == {"Free members"}
    assert contact(ADA).state == SyncState.IN_SYNC


def test_an_opt_out_between_our_read_and_our_write_is_the_servers_to_refuse(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    member.is_free, member.is_sustainer = False, True
    member.save()
    told = '[{"error_key": "contacts.api.validation.error", "error_message": "unsubscribed"}]'
    connected.fault("PUT */contacts/*", "status", status=by_wire(403, 400), body=by_wire("Error 403", told), times=1)
    run_due()
    assert contact(ADA).hold == ""
    connected.act(ADA, "unsubscribe")
    make_due()
    run_due()
    assert contact(ADA).state == SyncState.REFUSED
    assert connected.status_of(ADA) == "Do Not Mail"


def test_a_contact_whose_address_was_changed_over_there_waits_for_a_look(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "edit", to="augusta@example.com")
    member.is_free, member.is_sustainer = False, True
    member.save()
    run_due()
    assert (contact(ADA).hold, contact(ADA).error_code) == (Hold.REVIEW, "renamed")
    assert connected.lists_of("augusta@example.com") == {"Free members"}


def test_an_id_that_moved_to_another_address_follows_it(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "edit", to=BOB)
    Member.objects.create(email=BOB)
    run_due()
    assert contact(BOB).remote_id is not None
    assert contact(ADA).remote_id is None


def test_a_stranger_is_shown_and_never_written(connected: Sandbox) -> None:
    connected.add(BOB, "Free members")
    stranger = Contact.objects.create(account=Account.objects.get(), email=BOB)
    assert contact(BOB).state == SyncState.FOREIGN
    assert acts.sync_now([stranger]) == 0
    with services.connect("default") as link:
        shown = services.preview(link, stranger.pk)
    assert shown.plan == Nothing()
    assert connected.writes() == []


def test_a_preview_reads_and_writes_nothing(connected: Sandbox) -> None:
    connected.add(ADA, UNMANAGED)
    Member.objects.create(email=ADA)
    before = Contact.objects.values().get()
    with services.connect("default") as link:
        shown = services.preview(link, contact(ADA).pk)
    assert isinstance(shown.plan, Update)
    assert shown.plan.adds == {connected.list_id("Free members")}
    assert Contact.objects.values().get() == before
    assert connected.writes() == []


def test_the_signals_tell_what_happened(connected: Sandbox) -> None:
    heard: list[tuple[str, Any]] = []

    def hearing(name: str) -> Any:
        return lambda sender, contact, **more: heard.append((name, more))

    names = ("contact_synced", "contact_refused", "contact_failed", "contact_opted_out")
    hear = {name: hearing(name) for name in names}
    for name, receiver in hear.items():
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid="test")
    try:
        member = Member.objects.create(email=ADA)
        run_due()
        connected.act(ADA, "unsubscribe")
        member.first_name = "Ada"
        member.save()
        run_due()
        make_due()
        acts.sync_now([contact(ADA)])
        run_due()
        Member.objects.create(email="not an address")
        run_due()
        acts.opt_out(contact(ADA))
    finally:
        for name in hear:
            getattr(signals, name).disconnect(dispatch_uid="test")
    assert [name for name, _ in heard] == [
        "contact_synced",
        "contact_opted_out",
        "contact_refused",
        "contact_refused",
        "contact_failed",
        "contact_opted_out",
    ]
    assert isinstance(heard[2][1]["plan"], Refuse)
    assert heard[1][1]["source"] == OptOutSource.REMOTE


def test_an_opt_out_made_here_is_still_ours_after_it_was_seen_there(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    acts.opt_out(contact(ADA), source=OptOutSource.OWNER)
    run_due()
    acts.sync_now([contact(ADA)])
    run_due()
    seen = contact(ADA)
    assert (seen.opted_out_source, seen.opt_out_wanted, seen.status) == ("owner", False, "do_not_mail")


def test_an_opt_out_of_someone_unknown_over_there_keeps_her_from_being_made(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    acts.opt_out(contact(ADA))
    run_due()
    assert connected.writes() == []
    assert contact(ADA).state == SyncState.REFUSED
    acts.resubscribe(contact(ADA), ["free"], method="preference page")
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    member.delete()


def test_staff_lift_what_staff_did_and_not_what_she_did(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    acts.leave_list(ADA, "newsletter")
    acts.leave_all_lists(contact(ADA))
    run_due()
    assert connected.status_of(ADA) == "Removed"
    acts.lift_removal(contact(ADA))
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    assert ListOptOut.objects.get().source == "site"
    assert acts.lift_removal(contact(ADA)) == 0


def test_a_key_that_is_not_bound_cannot_be_left_or_joined(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    with pytest.raises(ListNotBound, match="nonsense"):
        acts.leave_list(ADA, "nonsense")


def test_leaving_works_for_an_address_that_the_site_does_not_know(connected: Sandbox) -> None:
    connected.add(BOB, "Newsletter", "Sustainers", UNMANAGED)
    acts.leave_list(BOB, "newsletter")
    run_due()
    assert connected.lists_of(BOB) == {"Sustainers", UNMANAGED}, "the list she named, and no other"


def test_the_database_is_the_last_guard(connected: Sandbox) -> None:
    """A permit that the planner would never ask for is refused by the constraint, and nothing is sent."""
    Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    claim = outbox.claim(contact(ADA).pk)
    assert claim is not None
    connected.forget()
    with services.connect("default") as link:
        local = ledger.load(claim.contact_id, vault.address_hashes)
        existing = link.backend.find(ADA)
        local = ledger.absorb(claim, local, existing)
        forbidden = Update(frozenset({"1"}), adds=frozenset({"1"}))
        with pytest.raises(IntegrityError):
            permits.permit(claim, local, existing, forbidden)
        with pytest.raises(RequestRejected, match="database refused") as refused:
            services._write(link, claim, local, existing, forbidden)
    assert refused.value.code == "guard"
    assert connected.writes() == []


def test_a_lost_lease_stops_the_work_before_anything_is_written(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    claim = outbox.claim(contact(ADA).pk)
    assert claim is not None
    local = ledger.load(claim.contact_id, vault.address_hashes)
    Contact.objects.update(lease_until=contact(ADA).lease_until - timedelta(seconds=115))
    with pytest.raises(ledger.LeaseLost):
        permits.permit(claim, local, None, Update(frozenset({"1"})))
    Contact.objects.update(lease_token=None, lease_until=None)
    with pytest.raises(ledger.LeaseLost):
        ledger.absorb(claim, local, None)
    assert not WriteAttempt.objects.exists()


def test_a_worker_whose_lease_was_lost_says_nothing_was_done(connected: Sandbox, meanwhile: Events) -> None:
    Member.objects.create(email=ADA)
    run_due()
    acts.sync_now([contact(ADA)])

    meanwhile.before["get"] = lambda _: Contact.objects.update(lease_token=None, lease_until=None)
    heard: list[Any] = []
    signals.contact_synced.connect(lambda **news: heard.append(news), weak=False, dispatch_uid="test")
    try:
        with services.connect("default") as link:
            result = services.reconcile(link, contact(ADA).pk)
    finally:
        signals.contact_synced.disconnect(dispatch_uid="test")
    assert (result.plan, result.error, heard) == (None, None, [])


def test_a_lost_lease_stops_the_work_before_an_opt_out_is_written_down(connected: Sandbox) -> None:
    """The worker that has the lease now reads her too, and writes it down once."""
    Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    claim = outbox.claim(contact(ADA).pk)
    assert claim is not None
    local = ledger.load(claim.contact_id, vault.address_hashes)
    with services.connect("default") as link:
        there = link.backend.find(ADA)
    Contact.objects.update(lease_token=None, lease_until=None)
    with pytest.raises(ledger.LeaseLost):
        ledger.absorb(claim, local, there)
    assert (contact(ADA).status, contact(ADA).opted_out_at) == ("active", None)
    run_due()
    assert contact(ADA).status == "do_not_mail"


def test_lists_that_vanish_are_kept_and_marked(connected: Sandbox) -> None:
    connected.act("x@example.com", "delete_list", list=UNMANAGED)
    with services.connect("default") as link:
        catalogue.read_lists(link)
    row = ContactList.objects.get(name=UNMANAGED)
    assert row.missing_since is not None


def test_a_key_moves_to_another_list(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    account = Account.objects.get()
    assert catalogue.unbound_keys(account) == frozenset()
    catalogue.bind_list(account, "free", connected.list_id(UNMANAGED))
    run_due()
    assert UNMANAGED in connected.lists_of(ADA)
    catalogue.unbind_list(ContactList.objects.get(name=UNMANAGED))
    assert catalogue.unbound_keys(account) == {"free"}


def test_the_tasks_do_what_the_drain_does(connected: Sandbox, settings: Any) -> None:
    Member.objects.create(email=ADA)
    tasks.drain("default")
    assert contact(ADA).state == SyncState.IN_SYNC
    Member.objects.filter(email=ADA).update(is_free=False, is_sustainer=True)
    tasks.mirror_all()
    assert contact(ADA).state == SyncState.PENDING
    tasks.sweep()
    assert connected.lists_of(ADA) == {"Sustainers"}


def test_a_backend_that_cannot_be_imported_is_named(settings: Any) -> None:
    limited(settings, BACKEND="django_ctct.backends.nothing.Backend")
    with pytest.raises(ConfigurationError, match="cannot be imported"), services.connect("default"):
        pass


def test_priorities_have_their_order() -> None:
    assert sorted(Priority) == [Priority.OPT_OUT, Priority.REMOVAL, Priority.ADD, Priority.RESYNC]


def test_a_bug_in_the_way_of_one_contact_is_shown_and_the_others_go_on(connected: Sandbox, meanwhile: Events) -> None:
    Member.objects.create(email=ADA)
    Member.objects.create(email=BOB)

    def explode(email: str) -> None:
        if email == ADA:
            raise ZeroDivisionError(f"the text holds {email}")

    meanwhile.before["find"] = explode
    with services.connect("default") as link:
        results = [services.reconcile(link, contact(email).pk) for email in (ADA, BOB)]
    assert results[1].plan is not None
    seen = contact(ADA)
    assert (seen.state, seen.error_code) == (SyncState.PENDING, "error")
    assert "ZeroDivisionError at test_drain.py" in seen.error_text
    assert ADA not in seen.error_text


def test_a_worker_that_was_overtaken_journals_its_write_as_ambiguous(connected: Sandbox, meanwhile: Events) -> None:
    Member.objects.create(email=ADA)
    meanwhile.after["create"] = lambda _: Contact.objects.update(lease_token=None, lease_until=None)
    with services.connect("default") as link:
        services.reconcile(link, contact(ADA).pk)
    assert WriteAttempt.objects.get().outcome == Outcome.AMBIGUOUS
    assert contact(ADA).desired_gen == 2
    make_due()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}


def test_a_removal_by_staff_counts_for_someone_who_had_left_and_come_back(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    acts.leave_list(ADA, "newsletter")
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    run_due()
    assert connected.lists_of(ADA) == {"Free members", "Newsletter"}
    acts.leave_all_lists(contact(ADA))
    run_due()
    assert connected.lists_of(ADA) == set()


def test_contacts_of_a_key_that_lost_its_list_are_not_said_to_be_in_sync(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    catalogue.unbind_list(ContactList.objects.get(key="free"))
    run_due()
    assert contact(ADA).hold == Hold.UNBOUND


def test_a_policy_that_is_changed_to_restore_puts_back_who_had_left(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    connected.act(ADA, "leave", list="Newsletter")
    acts.sync_now([contact(ADA)])
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    row = ContactList.objects.get(key="newsletter")
    row.on_remote_removal = "restore"
    row.save()
    catalogue.policies_changed(row)
    run_due()
    assert connected.lists_of(ADA) == {"Free members", "Newsletter"}


def test_reading_the_lists_ends_a_pause_that_refused_credentials_made(connected: Sandbox) -> None:
    account = Account.objects.get()
    ledger.pause(account, timedelta(minutes=15), "credentials refused")
    Account.objects.update(auth_failed_at=outbox.DatabaseNow())
    with services.connect("default") as link:
        catalogue.read_lists(link)
    account.refresh_from_db()
    assert (account.paused_until, account.auth_failed_at) == (None, None)


def test_a_preview_knows_of_an_opt_out_that_nobody_has_read_yet(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    connected.act(ADA, "unsubscribe")
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    with services.connect("default") as link:
        shown = services.preview(link, contact(ADA).pk).plan
        done = services.reconcile(link, contact(ADA).pk).plan
    assert shown == done
    assert isinstance(shown, Refuse), "a word of before anybody knew of the opt-out lifts nothing"


def test_an_older_consent_does_not_call_off_an_opt_out(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    before = contact(ADA).synced_at
    acts.opt_out(contact(ADA))
    acts.resubscribe(contact(ADA), ["newsletter"], method="a link in a letter", at=before)
    run_due()
    assert connected.status_of(ADA) == "Do Not Mail"


def test_a_newer_consent_calls_an_opt_out_off_for_the_lists_it_names(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    acts.opt_out(contact(ADA))
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    run_due()
    assert connected.lists_of(ADA) == {"Newsletter"}


def test_a_contact_deleted_under_the_workers_hands_stops_nobody(connected: Sandbox, meanwhile: Events) -> None:
    Member.objects.create(email=ADA)
    Member.objects.create(email=BOB)
    meanwhile.before["find"] = lambda email: Contact.objects.filter(email=email).exclude(email=BOB).delete()
    with services.connect("default") as link:
        results = [services.reconcile(link, pk) for pk in (contact(ADA).pk, contact(BOB).pk)]
    assert (results[0].plan, results[1].error) == (None, None)


def test_an_unexpected_error_in_a_write_counts_as_unclear(connected: Sandbox, meanwhile: Events) -> None:
    Member.objects.create(email=ADA)

    def explode(_: Any) -> None:
        raise ZeroDivisionError(ADA)

    meanwhile.after["create"] = explode
    with services.connect("default") as link:
        services.reconcile(link, contact(ADA).pk)
    assert WriteAttempt.objects.get().outcome == Outcome.AMBIGUOUS
    assert contact(ADA).verify_at is not None
    assert ADA not in contact(ADA).error_text


def test_a_wish_that_comes_while_the_contact_is_read_is_not_overtaken(connected: Sandbox, meanwhile: Events) -> None:
    member = Member.objects.create(email=ADA)

    def upgrade(_: Any) -> None:
        member.is_free, member.is_sustainer = False, True
        member.save()

    meanwhile.before["find"] = upgrade
    with services.connect("default") as link:
        result = services.reconcile(link, contact(ADA).pk)
    assert getattr(result.error, "code", "") == "newer_wish"
    assert (connected.writes(), contact(ADA).attempts) == ([], 0)
    meanwhile.clear()
    make_due()
    run_due()
    assert connected.lists_of(ADA) == {"Sustainers"}


def test_no_write_rests_on_an_old_reading(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    claim = outbox.claim(contact(ADA).pk)
    assert claim is not None
    local = ledger.absorb(claim, ledger.load(claim.contact_id, vault.address_hashes), None)
    Contact.objects.update(seen_at=local.now - timedelta(seconds=10))
    with pytest.raises(services.RemoteConflict, match="too old"):
        permits.permit(claim, local, None, services.Create(frozenset({"1"})))


def test_a_return_whose_write_was_unclear_is_tried_again_after_its_quarantine(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    run_due()
    acts.resubscribe(contact(ADA), ["free"], method="preference page")
    connected.fault("PUT */contacts/*", "status", status=500, body="Error 500: sorry")
    run_due()
    make_due()
    run_due()
    waiting = contact(ADA)
    assert (waiting.status, waiting.refusal) == ("do_not_mail", "opted_out")
    assert waiting.due_at - waiting.synced_at > timedelta(minutes=8)
    WriteAttempt.objects.update(at=waiting.synced_at - timedelta(minutes=11))
    make_due()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}


def test_what_a_later_write_took_off_is_not_expected_of_an_unclear_one(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    row, now = contact(ADA), outbox.DatabaseNow()
    plain = {"contact": row, "verb": "update", "gen": 1, "adds": True, "source": "site", "observed_status": "active"}
    WriteAttempt.objects.create(at=now, lists_after=["1", "2"], outcome="ambiguous", **plain)
    WriteAttempt.objects.create(at=now + timedelta(seconds=5), lists_after=["2"], outcome="ok", **plain)
    assert [one.after for one in ledger.load(row.pk, vault.address_hashes).base.unclear] == [{"2"}]


def test_a_confirmation_without_a_claim_confirms_nothing(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    claim = outbox.claim(contact(ADA).pk)
    assert claim is not None
    local = ledger.load(claim.contact_id, vault.address_hashes)
    Contact.objects.update(lease_token=None, lease_until=None)
    assert not permits.confirm(claim, local, None, None)
    assert contact(ADA).state == SyncState.PENDING


def test_when_the_server_says_that_the_day_is_used_up_nobody_calls_till_midnight(connected: Sandbox) -> None:
    connected.switch(rate_limit=True, calls_per_day=1, calls_per_second=100)
    Member.objects.create(email=ADA)
    Member.objects.create(email=BOB)
    run_due()
    assert Account.objects.get().pause_reason == "the day's calls are used up"
    assert contact(BOB).attempts == 0


def test_a_drain_rests_when_too_many_others_wait_for_the_next_call(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    Member.objects.create(email=BOB)
    Quota.objects.update(next_slot=outbox.DatabaseNow() + timedelta(seconds=30))
    outcome = drain.drain("default", seconds=0.3)
    assert (outcome.failed, contact(ADA).attempts, contact(ADA).error_code) == (1, 0, "busy")
    assert contact(BOB).error_code == "", "the queue is not run through while nobody can call"
    assert Account.objects.get().paused_until is None


def test_a_failure_of_a_contact_that_was_deleted_meanwhile_is_told_to_nobody(
    connected: Sandbox, meanwhile: Events
) -> None:
    Member.objects.create(email=ADA)

    def vanish(email: str) -> None:
        Contact.objects.filter(email=email).delete()
        raise ZeroDivisionError

    meanwhile.before["find"] = vanish
    with services.connect("default") as link:
        assert services.reconcile(link, contact(ADA).pk).error is not None


def test_a_process_that_slept_after_its_permit_sends_nothing(connected: Sandbox) -> None:
    """A write that waited may land on a newer one: the clock is looked at once more before the request."""
    Member.objects.create(email=ADA)
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:

        def sleep(execute: Any, sql: str, *rest: Any) -> Any:
            done = execute(sql, *rest)
            if sql.startswith("INSERT") and "writeattempt" in sql:
                clock.shift(6)
            return done

        with services.connect("default") as link, connection.execute_wrapper(sleep):
            result = services.reconcile(link, contact(ADA).pk)
    assert getattr(result.error, "code", "") == "stale"
    assert connected.writes() == []
    assert (WriteAttempt.objects.get().outcome, contact(ADA).attempts) == (Outcome.NOT_SENT, 0)
    make_due()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}


def test_the_journal_says_what_was_seen_and_how_it_ended(connected: Sandbox) -> None:
    connected.add(ADA, UNMANAGED)
    Member.objects.create(email=ADA)
    connected.fault("PUT */contacts/*", "status", status=400, body="[]", times=1)
    run_due()
    make_due()
    run_due()
    board, free = connected.list_id(UNMANAGED), connected.list_id("Free members")
    first, second = WriteAttempt.objects.order_by("at")
    assert (first.outcome, second.outcome) == (Outcome.REFUSED, Outcome.OK)
    assert (second.lists_before, second.lists_after) == ([board], sorted([board, free]))
    assert (second.observed_status, second.adds, second.source) == ("active", True, "site")


@pytest.mark.parametrize(
    ("by", "name"), [(OptOutSource.SITE, OptInSource.CONTACT), (OptOutSource.OWNER, OptInSource.SITE)]
)
def test_an_opt_out_is_sent_in_the_name_of_who_asked_for_it(
    connected: Sandbox, by: OptOutSource, name: OptInSource
) -> None:
    Member.objects.create(email=ADA)
    run_due()
    acts.opt_out(contact(ADA), source=by)
    claim = outbox.claim(contact(ADA).pk)
    assert claim is not None
    with services.connect("default") as link:
        existing = link.backend.find(ADA)
        local = ledger.absorb(claim, ledger.load(claim.contact_id, vault.address_hashes), existing)
        assert permits.permit(claim, local, existing, OptOut()).source is name


def test_who_came_back_to_a_list_over_there_may_be_put_on_it_again(connected: Sandbox) -> None:
    """Her last word counts: she left, she joined again herself, and only then did the site's rule take her off."""
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    for do in ("leave", "join"):
        connected.act(ADA, do, list="Newsletter")
        acts.sync_now([contact(ADA)])
        run_due()
    member.wants_newsletter = False
    member.save()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    member.wants_newsletter = True
    member.save()
    run_due()
    on_it = by_wire({"Free members", "Newsletter"}, {"Free members"})  # v3 does not say since when she is on a list
    assert connected.lists_of(ADA) == on_it


def test_who_was_taken_off_by_staff_does_not_come_back_by_joining_over_there(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    acts.leave_all_lists(contact(ADA))
    run_due()
    connected.act(ADA, "join", list="Free members")
    acts.sync_now([contact(ADA)])
    run_due()
    assert ListOptOut.objects.filter(source="owner").count() == 3


def test_who_left_a_list_before_she_became_a_member_is_not_put_on_it_by_a_rule(connected: Sandbox) -> None:
    """Found by a seed of the simulator: a stranger's leaving was seen, and then forgotten."""
    connected.add(ADA, "Newsletter")
    for _ in range(2):
        acts.leave_list(ADA, "free")  # the site hears of her, and reads her
        run_due()
        connected.act(ADA, "leave", list="Newsletter")
    assert connected.writes() == []
    Member.objects.create(email=ADA, is_free=False, wants_newsletter=True)
    run_due()
    assert connected.lists_of(ADA) == set()
    assert contact(ADA).state == SyncState.REFUSED
