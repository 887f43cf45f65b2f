"""The row as queue: one winner for each claim, no wish forgotten, and every wait in the row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from django_ctct import outbox
from django_ctct.models import Account, Contact, DatabaseNow, Hold, Refusal, SyncState, WriteAttempt
from django_ctct.outbox import Failure
from django_ctct.signals import work_due
from django_ctct.types import Priority

pytestmark = pytest.mark.django_db


def make(email: str = "ada@example.com", *, priority: Priority = Priority.ADD) -> Contact:
    contact = Contact.objects.create(account=Account.objects.for_alias("default"), email=email)
    outbox.mark([contact.pk], priority)
    return fresh(contact)


def fresh(contact: Contact) -> Contact:
    return Contact.objects.with_state().get(pk=contact.pk)


def claimed(contact: Contact) -> outbox.Claim:
    claim = outbox.claim(contact.pk)
    assert claim is not None
    return claim


def pass_time(**delta: float) -> None:
    """Let time pass, by moving every time of the queue into the past."""
    past = timedelta(**delta)
    Contact.objects.filter(due_at__isnull=False).update(due_at=F("due_at") - past)
    Contact.objects.filter(lease_until__isnull=False).update(lease_until=F("lease_until") - past)
    Contact.objects.filter(verify_at__isnull=False).update(verify_at=F("verify_at") - past)


def test_a_claim_has_one_winner() -> None:
    contact = make()
    claimed(contact)
    with CaptureQueriesContext(connection) as asked:
        assert outbox.claim(contact.pk) is None
    assert len(asked) == 1, "a claim in vain is a single statement"


def test_what_is_known_of_the_wait_is_since_the_first_wish_that_is_not_confirmed() -> None:
    contact = make()
    Contact.objects.update(wished_at=F("wished_at") - timedelta(seconds=9))
    first = fresh(contact).wished_at
    assert first is not None
    outbox.mark([contact.pk], Priority.ADD)
    assert fresh(contact).wished_at == first
    outbox.done(claimed(contact))
    outbox.mark([contact.pk], Priority.ADD)
    assert fresh(contact).wished_at > first


@pytest.mark.parametrize("again", [outbox.mark, outbox.look_again])
def test_who_is_due_already_keeps_her_place(again: Callable[[list[int], Priority], int]) -> None:
    contact, other = make(), make("other@example.com")
    pass_time(seconds=10)
    before, waiting = fresh(contact).due_at, fresh(other).due_at
    assert again([contact.pk], Priority.ADD) == 1
    assert (fresh(contact).due_at, fresh(other).due_at) == (before, waiting)
    Contact.objects.filter(pk=contact.pk).update(due_at=DatabaseNow() + timedelta(hours=1))
    again([contact.pk], Priority.ADD)
    assert outbox.claim(contact.pk) is not None, "a try that was to come later comes now"


def test_a_new_wish_has_its_own_tries_and_one_under_way_is_counted() -> None:
    contact = make()
    for _ in range(3):
        outbox.fail(claimed(contact), Failure("http_503", "not now"))
        pass_time(seconds=60)
    claimed(contact)
    outbox.mark([contact.pk], Priority.ADD)
    assert fresh(contact).attempts == 4
    pass_time(seconds=121)
    outbox.fail(claimed(contact), Failure("http_503", "not now"))
    outbox.mark([contact.pk], Priority.ADD)
    assert fresh(contact).attempts == 0


def test_there_is_word_of_work_once_it_is_committed(django_capture_on_commit_callbacks: Any) -> None:
    heard = []

    def hear(sender: type, alias: str, **_: Any) -> None:
        heard.append((sender, alias))
        raise RuntimeError("The site's own receivers may fail.")

    work_due.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            outbox.wake("default")
            assert not heard
    finally:
        work_due.disconnect(hear)
    assert heard == [(Contact, "default")]


def test_what_is_not_due_cannot_be_claimed() -> None:
    contact = Contact.objects.create(account=Account.objects.for_alias("default"), email="a@example.com")
    assert outbox.claim(contact.pk) is None


def test_a_confirmed_wish_is_in_sync_and_not_due() -> None:
    contact = make()
    assert outbox.done(claimed(contact))
    contact = fresh(contact)
    assert (contact.state, contact.due_at, contact.attempts, contact.priority) == (SyncState.IN_SYNC, None, 0, 9)
    assert outbox.due(contact.account_id, limit=9) == []


def test_a_confirmed_wish_says_what_was_refused_and_leaves_no_error() -> None:
    contact = make()
    outbox.fail(claimed(contact), Failure("http_503", "not now"))
    pass_time(seconds=60)
    outbox.done(claimed(contact), refusal=Refusal.MISSING)
    row = fresh(contact)
    assert (row.refusal, row.error_code, row.error_text) == (Refusal.MISSING, "", "")
    outbox.mark([contact.pk], Priority.ADD)
    outbox.done(claimed(contact))
    assert fresh(contact).refusal == ""


def test_a_hold_that_came_during_the_work_outlasts_it() -> None:
    contact = make()
    claim = claimed(contact)
    Contact.objects.filter(pk=contact.pk).update(hold=Hold.REVIEW)
    assert outbox.done(claim)
    assert fresh(contact).hold == Hold.REVIEW


def test_a_wish_that_came_during_the_work_stays_due() -> None:
    contact = make()
    claim = claimed(contact)
    outbox.mark([contact.pk], Priority.REMOVAL)
    outbox.done(claim)
    contact = fresh(contact)
    assert (contact.state, contact.applied_gen, contact.desired_gen) == (SyncState.PENDING, 1, 2)
    assert outbox.due(contact.account_id, limit=9) == [contact.pk]
    assert contact.priority == Priority.REMOVAL


def test_a_wish_that_came_during_a_failure_does_not_wait_for_the_backoff() -> None:
    contact = make()
    claim = claimed(contact)
    outbox.mark([contact.pk], Priority.ADD)
    outbox.fail(claim, Failure("x", "x", delay=timedelta(hours=1), hold=Hold.REJECTED))
    assert fresh(contact).hold == ""
    assert outbox.claim(contact.pk) is not None


def test_a_worker_that_went_silent_loses_its_claim_and_leaves_a_verify_pass() -> None:
    contact = make()
    dead = claimed(contact)
    pass_time(seconds=121)
    second = claimed(contact)
    assert second.token != dead.token
    assert outbox.done(second)
    contact = fresh(contact)
    assert contact.verify_at is not None
    assert contact.due_at == contact.verify_at
    assert contact.state == SyncState.PENDING, "not in sync before it was verified"
    pass_time(seconds=300)
    outbox.done(claimed(contact))
    assert fresh(contact).state == SyncState.IN_SYNC


def test_whoever_takes_over_does_not_verify_earlier_than_was_asked() -> None:
    contact = make()
    claimed(contact)
    Contact.objects.update(verify_at=DatabaseNow() + timedelta(hours=1))
    pass_time(seconds=121)
    claimed(contact)
    row = Contact.objects.with_moment().get(pk=contact.pk)
    assert row.verify_at - row.moment > timedelta(minutes=57)  # type: ignore[attr-defined]


def test_a_zombie_that_finishes_late_changes_nothing_and_asks_for_another_look() -> None:
    contact = make()
    zombie = claimed(contact)
    pass_time(seconds=121)
    outbox.done(claimed(contact))
    assert not outbox.done(zombie)
    contact = fresh(contact)
    assert contact.desired_gen == 2
    assert outbox.due(contact.account_id, limit=9) == [contact.pk]
    assert not outbox.fail(zombie, Failure("x", "x"))


def test_an_ambiguous_write_is_verified_after_it_can_no_longer_land() -> None:
    contact = make()
    outbox.fail(claimed(contact), Failure("timeout", "no answer", ambiguous=True))
    pass_time(seconds=10)
    claim = claimed(contact)
    assert outbox.done(claim)
    contact = fresh(contact)
    assert contact.verify_at is not None
    assert contact.verify_at - contact.synced_at > timedelta(seconds=100)


def test_failures_wait_longer_each_time_and_never_end() -> None:
    contact = make()
    waits = []
    for _ in range(12):
        pass_time(days=2)
        outbox.fail(claimed(contact), Failure("http_503", "not now"))
        row = Contact.objects.with_moment().get(pk=contact.pk)
        waits.append((row.due_at - row.moment).total_seconds())  # type: ignore[attr-defined]
    assert min(waits) > 0.9, "a try that follows at once is no other try"
    assert all(wait <= 5 * 2**number for number, wait in enumerate(waits[:9]))
    assert min(waits[10:]) > 6 * 3600
    assert max(waits) <= 24 * 3600
    assert fresh(contact).state == SyncState.FAILED


def test_a_try_that_was_not_the_contacts_fault_is_given_back() -> None:
    contact = make()
    outbox.fail(claimed(contact), Failure("rate_limited", "too many", delay=timedelta(seconds=1), counts=False))
    assert fresh(contact).attempts == 0


def test_a_held_contact_is_left_alone_until_a_new_wish_or_a_hand_lifts_it() -> None:
    contact = make()
    outbox.fail(claimed(contact), Failure("http_400", "no", hold=Hold.REJECTED))
    assert fresh(contact).state == SyncState.FAILED
    assert outbox.claim(contact.pk) is None
    assert outbox.release([contact.pk]) == 1
    outbox.fail(claimed(contact), Failure("http_400", "no", hold=Hold.REJECTED))
    outbox.mark([contact.pk], Priority.ADD)
    assert outbox.claim(contact.pk) is not None


def test_a_hand_lifts_only_what_it_was_laid_on_and_no_stranger() -> None:
    contact, other = make(), make("other@example.com")
    stranger = Contact.objects.create(account=contact.account, email="stranger@example.com")
    for one in (contact, other):
        outbox.fail(claimed(one), Failure("http_400", "no", hold=Hold.REJECTED))
    assert outbox.release([contact.pk, stranger.pk]) == 1
    assert (fresh(contact).hold, fresh(contact).attempts) == ("", 0)
    assert (fresh(other).hold, fresh(other).attempts) == (Hold.REJECTED, 1)
    assert fresh(stranger).due_at is None


def test_a_contact_held_for_review_waits_for_a_hand() -> None:
    contact = make()
    outbox.fail(claimed(contact), Failure("renamed", "x", hold=Hold.REVIEW))
    outbox.mark([contact.pk], Priority.ADD)
    assert outbox.claim(contact.pk) is None


def test_the_most_urgent_go_first_and_less_urgent_ones_can_be_left_out() -> None:
    add = make("a@example.com")
    removal = make("b@example.com", priority=Priority.REMOVAL)
    opt_out = make("c@example.com", priority=Priority.OPT_OUT)
    account = add.account_id
    assert outbox.due(account, limit=9) == [opt_out.pk, removal.pk, add.pk]
    assert outbox.due(account, limit=9, upto=Priority.REMOVAL) == [opt_out.pk, removal.pk]
    assert outbox.due(account, limit=1) == [opt_out.pk]
    late, later = make("late@example.com"), make("later@example.com")
    Contact.objects.filter(pk=late.pk).update(due_at=F("due_at") - timedelta(hours=1))
    Contact.objects.filter(pk=add.pk).update(due_at=F("due_at") - timedelta(minutes=1))
    assert outbox.due(account, limit=9)[2:] == [late.pk, add.pk, later.pk], "the one that waits longest first"
    assert outbox.due(Account.objects.for_alias("other").pk, limit=9) == []


def test_the_next_due_moment_is_known() -> None:
    contact = make()
    assert outbox.next_due(contact.account_id) is not None
    outbox.done(claimed(contact))
    assert outbox.next_due(contact.account_id) is None


def test_a_claim_that_vanishes_between_two_statements_is_no_claim() -> None:
    contact = make()
    claim = claimed(contact)
    Contact.objects.filter(pk=contact.pk).delete()
    assert not outbox.fail(claim, Failure("x", "x"))
    assert outbox._read_claim(contact.pk, claim.token) is None


def test_a_claim_that_was_taken_over_between_two_statements_is_no_claim() -> None:
    contact = make()
    claimed(contact)
    assert outbox._read_claim(contact.pk, uuid4()) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"applied_gen": 5},
        {"lease_until": DatabaseNow()},
        {"due_at": None},
        {"due_at": None, "applied_gen": F("desired_gen"), "verify_at": DatabaseNow()},
    ],
)
def test_the_database_refuses_a_row_that_would_be_forgotten(wrong: dict[str, Any]) -> None:
    contact = make()
    with pytest.raises(IntegrityError), transaction.atomic():
        Contact.objects.filter(pk=contact.pk).update(**wrong)


def _attempt(**values: Any) -> WriteAttempt:
    contact = make()
    plain = {
        "verb": "update",
        "gen": 1,
        "at": DatabaseNow(),
        "adds": True,
        "source": "site",
        "observed_status": "active",
    }
    return WriteAttempt.objects.create(contact=contact, **{**plain, **values})


@pytest.mark.parametrize("status", ["do_not_mail", "", "unknown"])
def test_the_database_refuses_an_add_for_someone_who_opted_out(status: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        _attempt(observed_status=status)
    with pytest.raises(IntegrityError), transaction.atomic():
        _attempt(observed_status=status, observed_opted_out_at=DatabaseNow())


def test_the_database_refuses_her_own_act_without_her_consent() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        _attempt(source="contact")


@pytest.mark.parametrize("status", ["active", "unconfirmed", "removed", "absent"])
def test_the_database_lets_an_add_through_where_nobody_opted_out(status: str) -> None:
    assert _attempt(observed_status=status).pk


def test_the_queue_reads_an_index() -> None:
    """Among many contacts of one account, few are due: with one row any index, or none, is as good."""
    due = make()
    Contact.objects.bulk_create(Contact(account=due.account, email=f"{n}@example.com") for n in range(2000))
    if connection.vendor != "mysql":  # there it would end the test's transaction, and the index is taken without it
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {Contact._meta.db_table}")
    told = outbox._claimable().filter(account_id=due.account_id).order_by("priority", "due_at").explain()
    assert "ctct_contact_due" in told


def test_the_next_due_is_the_accounts_own_and_waits_for_a_lease() -> None:
    now = Contact.objects.with_moment().get(pk=make("now@example.com").pk)
    account, moment = now.account_id, now.moment  # type: ignore[attr-defined]
    other = Contact.objects.create(account=Account.objects.for_alias("other"), email="other@example.com")
    held, leased = make("held@example.com"), make("leased@example.com")
    long_ago, later = moment - timedelta(hours=1), moment + timedelta(minutes=2)
    Contact.objects.filter(pk__in=[other.pk, held.pk]).update(due_at=long_ago)
    Contact.objects.filter(pk=held.pk).update(hold=Hold.REVIEW)
    Contact.objects.filter(pk=leased.pk).update(lease_token=uuid4(), lease_until=later, due_at=long_ago)
    Contact.objects.filter(pk=now.pk).update(due_at=moment)
    assert outbox.next_due(account) == moment
    Contact.objects.filter(pk=now.pk).delete()
    assert outbox.next_due(account) == later
    Contact.objects.filter(pk=leased.pk).delete()
    assert outbox.next_due(account) is None


def test_a_failure_is_dated_and_told_as_far_as_there_is_room() -> None:
    contact = make()
    outbox.fail(claimed(contact), Failure("c" * 50, "t" * 400, delay=timedelta(hours=1)))
    row = Contact.objects.with_moment().get(pk=contact.pk)
    assert (len(row.error_code), len(row.error_text)) == (40, 300)
    assert row.error_at is not None
    assert abs(row.moment - row.error_at) < timedelta(minutes=1)  # type: ignore[attr-defined]
    assert timedelta(minutes=59) < row.due_at - row.moment <= timedelta(hours=1), "as long as it was told"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("attempts", "shortest", "longest"),
    [(1, 1, 5), (2, 1, 10), (4, 1, 40), (9, 1, 1280), (10, 43_200, 86_400), (11, 43_200, 86_400)],
)
def test_the_wait_doubles_with_full_jitter_up_to_the_slow_lane(attempts: int, shortest: int, longest: int) -> None:
    waits = [outbox._backoff(attempts).total_seconds() for _ in range(2000)]
    assert shortest <= min(waits) < shortest + longest / 20
    assert longest * 0.95 < max(waits) <= longest


def test_a_later_verify_pass_stands() -> None:
    contact = make()
    claim = claimed(contact)
    Contact.objects.filter(pk=contact.pk).update(verify_at=DatabaseNow() + timedelta(hours=1))
    outbox.fail(claim, Failure("timeout", "no answer", ambiguous=True))
    row = Contact.objects.with_moment().get(pk=contact.pk)
    assert row.verify_at - row.moment > timedelta(minutes=59)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("due", "was", "told", "then"),
    [
        (False, Priority.ADD, Priority.RESYNC, Priority.RESYNC),
        (False, Priority.RESYNC, Priority.REMOVAL, Priority.REMOVAL),
        (True, Priority.ADD, Priority.REMOVAL, Priority.REMOVAL),
        (True, Priority.ADD, Priority.RESYNC, Priority.ADD),
        (True, Priority.OPT_OUT, Priority.REMOVAL, Priority.OPT_OUT),
    ],
)
def test_who_is_looked_at_again_loses_no_urgency(due: bool, was: Priority, told: Priority, then: Priority) -> None:
    contact = make(priority=was)
    if not due:
        outbox.done(claimed(contact))
    outbox.look_again([contact.pk], told)
    assert fresh(contact).priority == then
    assert outbox.due(contact.account_id, limit=9) == [contact.pk]


def test_who_is_looked_at_again_is_not_in_sync_until_then() -> None:
    contact, other = make(), make("other@example.com")
    stranger = Contact.objects.create(account=contact.account, email="stranger@example.com")
    for one in (contact, other):
        outbox.done(claimed(one))
    assert outbox.look_again([contact.pk, stranger.pk]) == 1
    assert fresh(contact).state == SyncState.PENDING
    assert fresh(other).state == SyncState.IN_SYNC
    assert fresh(stranger).due_at is None
    outbox.done(claimed(contact))
    assert fresh(contact).state == SyncState.IN_SYNC


def test_a_look_that_was_asked_for_later_stays_so_and_who_is_held_is_not_looked_at() -> None:
    contact, held = make(), make("held@example.com")
    outbox.fail(claimed(held), Failure("renamed", "x", hold=Hold.REVIEW))
    Contact.objects.filter(pk=contact.pk).update(verify_at=DatabaseNow() + timedelta(hours=1))
    then = fresh(contact).verify_at
    assert outbox.look_again([contact.pk, held.pk]) == 1
    assert (fresh(contact).verify_at, fresh(held).due_at) == (then, None)
