"""The permit: what is in the journal before a write, when there is none, and what the rows say after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from django_ctct import ledger, outbox, permits, vault
from django_ctct.exceptions import RemoteConflict
from django_ctct.ledger import LeaseLost, Local
from django_ctct.models import (
    Account,
    Consent,
    Contact,
    ContactList,
    DatabaseNow,
    FormerAddress,
    RemoteMembership,
    WriteAttempt,
)
from django_ctct.outbox import Claim
from django_ctct.planning import Consented, Create, OptOut, OptOuts, Update
from django_ctct.types import (
    ContactStatus,
    OptInSource,
    OptOutSource,
    Outcome,
    Permit,
    Priority,
    RemoteContact,
    Subscription,
    Verb,
)

pytestmark = pytest.mark.django_db

EMAIL = "kim@example.com"
STAMP = datetime(2025, 3, 1, tzinfo=UTC)
FREE, PAID = "1", "2"


def make(email: str = EMAIL, **values: Any) -> Contact:
    """Make a contact of the site whom a worker has just read, in an account where all may be sent."""
    account = Account.objects.for_alias("default")
    Account.objects.update(approved_at=DatabaseNow(), pulled_at=DatabaseNow())
    for key, remote_id in (("free", FREE), ("paid", PAID)):
        ContactList.objects.get_or_create(account=account, remote_id=remote_id, defaults={"key": key})
    read = {"claimed": True, "seen_at": DatabaseNow(), **values}
    contact = Contact.objects.create(account=account, email=email, **read)
    outbox.mark([contact.pk], Priority.ADD)
    return contact


def opened(contact: Contact) -> tuple[Claim, Local]:
    """Begin to work on a contact, as ``services`` does."""
    claim = outbox.claim(contact.pk)
    assert claim is not None
    return claim, ledger.load(contact.pk, vault.address_hashes)


def there(*lists: str, email: str = EMAIL, status: ContactStatus = ContactStatus.ACTIVE) -> RemoteContact:
    return RemoteContact("77", email, status, {one: Subscription() for one in lists}, stamp=STAMP)


def ask(plan: Create | Update | OptOut, existing: RemoteContact | None = None, **values: Any) -> Permit:
    return permits.permit(*opened(make(**values)), existing, plan)


def journal() -> dict[str, Any]:
    return WriteAttempt.objects.values().get()


def consent_of(contact: Contact) -> Consented:
    given = Consent.objects.create(
        account=contact.account, contact=contact, address_hash="x", key="free", at=DatabaseNow(), method="link"
    )
    given.refresh_from_db()
    return Consented(given.pk, given.at)


PROFILE = {"last_name": "Doe", "first_name": "Kim"}


class TestWhatIsAskedFor:
    def test_a_new_contact(self) -> None:
        permit = ask(Create(frozenset({PAID, FREE}), PROFILE))
        assert permit == Permit(permit.attempt, Verb.CREATE, EMAIL, frozenset({FREE, PAID}), PROFILE)
        row = journal()
        assert (row["id"], row["verb"], row["gen"], row["outcome"]) == (permit.attempt, "create", 1, "open")
        assert row["observed_status"] == "absent"
        assert (row["observed_opted_out_at"], row["observed_updated_at"]) == (None, None)
        assert (row["lists_before"], row["lists_after"], row["adds"]) == ([], [FREE, PAID], True)
        assert (row["fields"], row["source"]) == (["first_name", "last_name"], "site")
        assert (row["consent_id"], row["consent_at"]) == (None, None)
        assert abs(datetime.now(UTC) - row["at"]) < timedelta(minutes=1)

    def test_a_change(self) -> None:
        plan = Update(frozenset({FREE}), removes=frozenset({PAID}), fields=PROFILE, address="new@example.com")
        permit = ask(plan, there(PAID, FREE))
        assert permit == Permit(permit.attempt, Verb.UPDATE, "new@example.com", frozenset({FREE}), PROFILE)
        row = journal()
        assert (row["verb"], row["observed_status"], row["observed_updated_at"]) == ("update", "active", STAMP)
        assert (row["lists_before"], row["lists_after"], row["adds"]) == ([FREE, PAID], [FREE], False)
        assert row["fields"] == ["email", "first_name", "last_name"]

    def test_an_address_that_is_not_to_change_stays_as_it_is_there(self) -> None:
        assert ask(Update(frozenset({FREE})), there(email="old@example.com")).email == "old@example.com"
        assert journal()["fields"] == []

    def test_her_own_return(self) -> None:
        contact = make()
        consent = consent_of(contact)
        claim, local = opened(contact)
        opted_out = replace(local, opt_outs=OptOuts(consent.at - timedelta(days=1)))
        plan = Update(frozenset({FREE}), frozenset({FREE}), source=OptInSource.CONTACT, consent=consent)
        gone = there(status=ContactStatus.DO_NOT_MAIL)
        assert permits.permit(claim, opted_out, gone, plan).source is OptInSource.CONTACT
        row = journal()
        assert (row["source"], row["consent_id"], row["consent_at"]) == ("contact", consent.consent, consent.at)
        assert (row["observed_status"], row["adds"]) == ("do_not_mail", True)
        assert row["observed_opted_out_at"] == consent.at - timedelta(days=1)

    @pytest.mark.parametrize(
        ("asked_by", "told"),
        [
            (OptOutSource.SITE, OptInSource.CONTACT),
            (OptOutSource.OWNER, OptInSource.SITE),
            (OptOutSource.REMOTE, OptInSource.SITE),
        ],
    )
    def test_an_opt_out(self, asked_by: OptOutSource, told: OptInSource) -> None:
        permit = ask(OptOut(), there(FREE), opt_out_wanted=True, opted_out_source=asked_by.value)
        assert permit == Permit(permit.attempt, Verb.OPT_OUT, EMAIL, frozenset(), {}, told)
        row = journal()
        assert (row["verb"], row["observed_status"], row["source"]) == ("opt_out", "do_not_mail", "site")
        assert (row["lists_before"], row["lists_after"], row["adds"], row["fields"]) == ([FREE], [], False, [])

    @pytest.mark.parametrize("existing", [None, there()], ids=["absent", "active"])
    def test_the_opt_out_of_somebody_who_is_asked_for_is_judged_like_hers(self, existing: RemoteContact | None) -> None:
        plan = Update(frozenset({FREE}), frozenset({FREE})) if existing else Create(frozenset({FREE}))
        with pytest.raises(IntegrityError), transaction.atomic():
            ask(plan, existing, opt_out_wanted=True)

    def test_who_opted_out_and_is_not_there_is_not_made_anew(self) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            ask(Create(frozenset({FREE})), opted_out_at=STAMP)


ADD = Update(frozenset({FREE}), frozenset({FREE}))
REMOVE = Update(frozenset(), removes=frozenset({FREE}))


class TestWhatGetsNone:
    @pytest.mark.parametrize("seconds", [0, 28])
    def test_a_claim_that_ends_too_soon(self, seconds: int) -> None:
        claim, local = opened(make())
        Contact.objects.update(lease_until=DatabaseNow() + timedelta(seconds=seconds))
        with pytest.raises(LeaseLost):
            permits.permit(claim, local, there(), ADD)
        assert not WriteAttempt.objects.exists()

    def test_a_claim_that_another_worker_has_by_now(self) -> None:
        claim, local = opened(make())
        opened(make("other@example.com"))
        Contact.objects.filter(pk=claim.contact_id).update(lease_until=DatabaseNow() - timedelta(seconds=1))
        outbox.claim(claim.contact_id)
        with pytest.raises(LeaseLost):
            permits.permit(claim, local, there(), ADD)

    def refused(self, claim: Claim, local: Local, plan: Update | OptOut = ADD) -> tuple[str, str]:
        with pytest.raises(RemoteConflict) as caught:
            permits.permit(claim, local, there(FREE), plan)
        assert not WriteAttempt.objects.exists()
        return caught.value.code, str(caught.value)

    TOO_OLD = ("stale", "The reading was too old to write on.")

    @pytest.mark.parametrize("seen", [None, timedelta(seconds=6)])
    def test_a_reading_that_is_too_old(self, seen: timedelta | None) -> None:
        claim, local = opened(make())
        Contact.objects.update(seen_at=seen and DatabaseNow() - seen)
        assert self.refused(claim, local) == self.TOO_OLD

    def test_books_that_were_opened_too_long_ago(self) -> None:
        claim, local = opened(make())
        assert self.refused(claim, replace(local, now=local.now - timedelta(seconds=31))) == self.TOO_OLD

    def test_what_is_just_young_enough_gets_one(self) -> None:
        claim, local = opened(make())
        Contact.objects.update(seen_at=DatabaseNow() - timedelta(seconds=2))
        seen = Contact.objects.get().seen_at
        assert permits.permit(claim, replace(local, now=local.now - timedelta(seconds=25)), there(), ADD)
        assert Contact.objects.get().seen_at == seen, "the question is no reading"

    @pytest.mark.parametrize("plan", [ADD, REMOVE, OptOut()])
    def test_a_newer_wish(self, plan: Update | OptOut) -> None:
        claim, local = opened(make())
        outbox.mark([claim.contact_id], Priority.OPT_OUT)
        assert self.refused(claim, local, plan) == ("newer_wish", "A newer wish has come meanwhile.")

    @pytest.mark.parametrize("known", [None, STAMP - timedelta(days=1)])
    def test_an_opt_out_that_came_meanwhile(self, known: datetime | None) -> None:
        claim, local = opened(make(opted_out_at=known))
        Contact.objects.update(opted_out_at=STAMP)
        assert self.refused(claim, local, REMOVE) == ("stale", "A pull has told of an opt-out meanwhile.")

    def test_an_opt_out_that_was_known_does_not_keep_a_removal(self) -> None:
        assert ask(REMOVE, there(FREE), opted_out_at=STAMP)

    def test_before_the_plan_is_approved_only_opt_outs_are_sent(self) -> None:
        claim, local = opened(make())
        Account.objects.update(approved_at=None)
        for plan in (ADD, REMOVE):
            assert self.refused(claim, local, plan) == ("not_approved", "Nothing is sent before the plan is approved.")
        assert permits.permit(claim, local, there(FREE), OptOut())

    @pytest.mark.parametrize("age", [None, timedelta(minutes=31)])
    def test_while_the_news_is_old_nobody_is_added(self, age: timedelta | None) -> None:
        claim, local = opened(make())
        Account.objects.update(pulled_at=age and DatabaseNow() - age)
        assert self.refused(claim, local) == ("behind", "Adds wait until the account's news is read.")
        assert permits.permit(claim, local, there(FREE), REMOVE)


def written_on(contact: Contact, plan: Create | Update | OptOut, existing: RemoteContact | None) -> tuple[Any, ...]:
    claim, local = opened(contact)
    return claim, local, permits.permit(claim, local, existing, plan)


def base(contact: Contact) -> Mapping[str, tuple[str, datetime | None, bool]]:
    rows = RemoteMembership.objects.filter(contact=contact).values_list("list__remote_id", "source", "since", "foreign")
    return {one: tuple(rest) for one, *rest in rows}  # type: ignore[misc]


def on(contact: Contact, remote_id: str, **values: Any) -> None:
    one = ContactList.objects.get(account=contact.account, remote_id=remote_id)
    RemoteMembership.objects.create(contact=contact, list=one, **values)


def outcomes() -> list[str]:
    return list(WriteAttempt.objects.order_by("at").values_list("outcome", flat=True))


class TestWhatIsKnownAfterwards:
    def test_a_new_contact_is_as_the_server_says(self) -> None:
        contact = make()
        claim, local, permit = written_on(contact, Create(frozenset({FREE})), None)
        made = there(FREE, PAID, status=ContactStatus.UNCONFIRMED)
        assert permits.confirm(claim, local, permit, made, refusal="left_list")
        contact.refresh_from_db()
        assert (contact.remote_id, contact.status, contact.known_as) == ("77", "unconfirmed", EMAIL)
        assert (contact.applied_gen, contact.refusal) == (1, "left_list")
        assert set(base(contact)) == {FREE, PAID}
        assert outcomes() == ["ok"]

    def test_an_id_that_another_row_had_is_hers_by_now(self) -> None:
        other = make("other@example.com", remote_id="77")
        contact = make()
        permits.confirm(*written_on(contact, Create(frozenset({FREE})), None), there(FREE))
        other.refresh_from_db()
        assert other.remote_id is None

    def test_a_change_leaves_as_it_was_what_it_did_not_touch(self) -> None:
        contact = make(remote_id="77", known_as=EMAIL, status="active")
        on(contact, FREE, source="contact", since=STAMP, foreign=True)
        plan = Update(frozenset({FREE, PAID}), frozenset({PAID}), address="new@example.com")
        permits.confirm(*written_on(contact, plan, there(FREE)), None)
        assert base(contact) == {FREE: ("contact", STAMP, True), PAID: ("site", None, False)}
        contact.refresh_from_db()
        assert (contact.remote_id, contact.known_as, contact.status) == ("77", "new@example.com", "active")

    def test_where_the_server_does_not_say_how_she_came_nobody_does(self) -> None:
        contact = make()
        on(contact, FREE)
        permits.confirm(*written_on(contact, Update(frozenset({FREE}), fields=PROFILE), there(FREE)), None)
        assert base(contact) == {FREE: ("", None, False)}

    def test_who_is_on_no_list_any_more_is_removed_and_a_list_she_left_is_not_foreign(self) -> None:
        contact = make()
        on(contact, FREE, foreign=True)
        permits.confirm(*written_on(contact, REMOVE, there(FREE)), None)
        contact.refresh_from_db()
        assert (contact.status, base(contact)) == ("removed", {})

    def test_an_opt_out_is_carried_out(self) -> None:
        contact = make(opt_out_wanted=True)
        on(contact, FREE)
        permits.confirm(*written_on(contact, OptOut(), there(FREE)), None)
        contact.refresh_from_db()
        assert (contact.status, contact.opt_out_wanted, base(contact)) == ("do_not_mail", False, {})

    def test_an_opt_out_is_wanted_still_while_an_earlier_write_may_land(self) -> None:
        contact = make(opt_out_wanted=True)
        written_on(make("other@example.com"), REMOVE, there(FREE))  # of somebody else: it does not count
        claim, local, permit = written_on(contact, OptOut(), there(FREE))
        permits.settle(permits.permit(claim, local, there(FREE), OptOut()), Outcome.AMBIGUOUS)
        permits.confirm(claim, local, permit, None)
        contact.refresh_from_db()
        assert contact.opt_out_wanted

    def test_another_write_does_not_carry_out_an_opt_out(self) -> None:
        contact = make(opt_out_wanted=True)
        permits.confirm(*written_on(contact, REMOVE, there(FREE)), None)
        contact.refresh_from_db()
        assert contact.opt_out_wanted

    def test_after_a_lost_claim_the_write_is_unclear_and_nothing_else_is_known(self) -> None:
        contact = make()
        FormerAddress.objects.create(contact=contact, email="old@example.com", at=DatabaseNow())
        claim, local, permit = written_on(contact, Create(frozenset({FREE})), None)
        Contact.objects.update(lease_until=DatabaseNow() - timedelta(seconds=1))
        outbox.claim(contact.pk)
        assert permits.confirm(claim, local, permit, there(FREE)) is False
        contact.refresh_from_db()
        assert (contact.remote_id, contact.status, base(contact), outcomes()) == (None, "", {}, ["ambiguous"])
        assert FormerAddress.objects.exists()

    @pytest.mark.parametrize(("known_as", "left"), [("", False), ("old@example.com", True)])
    def test_a_former_address_is_forgotten_once_she_is_known_by_the_new_one(self, known_as: str, left: bool) -> None:
        contact = make()
        FormerAddress.objects.create(contact=contact, email="old@example.com", at=DatabaseNow())
        claim, local = opened(contact)
        assert permits.confirm(claim, local, None, None, **({"known_as": known_as} if known_as else {}))
        assert FormerAddress.objects.exists() is left

    def test_without_a_write_only_the_queue_is_told(self) -> None:
        contact = make(status="active", remote_id="77", known_as=EMAIL)
        on(contact, FREE)
        claim, local = opened(contact)
        assert permits.confirm(claim, local, None, None)
        contact.refresh_from_db()
        assert (contact.applied_gen, contact.status, contact.remote_id, contact.refusal) == (1, "active", "77", "")
        assert set(base(contact)) == {FREE}

    def test_the_end_of_a_write_is_dated_and_its_cause_told_as_far_as_there_is_room(self) -> None:
        claim, local, permit = written_on(make(), ADD, there())
        other = permits.permit(claim, local, there(), ADD)
        permits.settle(permit, Outcome.REFUSED, code="c" * 50)
        permits.settle(other, Outcome.NOT_SENT)
        row = WriteAttempt.objects.get(pk=permit.attempt)
        assert (row.outcome, row.error_code) == ("refused", "c" * 40)
        assert row.ended_at is not None
        assert row.ended_at >= row.at
        assert list(WriteAttempt.objects.exclude(pk=row.pk).values_list("outcome", "error_code")) == [("not_sent", "")]


class TestAConsentThatIsBusy:
    """An unclear write rests on it: it may be used again only ten minutes later."""

    def wait(self, withheld: str = FREE, *, usable: bool = False, **values: Any) -> Contact:
        contact = make()
        consent = consent_of(contact)
        claim, local = opened(contact)
        plan = Update(frozenset({FREE}), frozenset({FREE}), source=OptInSource.CONTACT, consent=consent)
        permits.settle(permits.permit(claim, local, there(), plan), Outcome.AMBIGUOUS)
        Contact.objects.update(**values)
        Contact.objects.create(account=contact.account, email="other@example.com")
        local = replace(local, consents={FREE: replace(consent, usable=usable)})
        assert permits.confirm(claim, local, None, None, withheld=frozenset({withheld}))
        assert Contact.objects.get(email="other@example.com").verify_at is None
        return Contact.objects.with_moment().get(pk=contact.pk)

    def again(self) -> datetime:
        return WriteAttempt.objects.get().at + timedelta(minutes=10)

    def test_who_is_withheld_for_it_is_looked_at_when_it_may_be_used(self) -> None:
        contact = self.wait()
        assert (contact.due_at, contact.verify_at) == (self.again(), self.again())

    def test_what_is_due_earlier_comes_earlier(self) -> None:
        contact = self.wait(desired_gen=F("desired_gen") + 1)
        assert contact.due_at is not None
        assert (contact.due_at < self.again(), contact.verify_at) == (True, self.again())

    def test_a_later_verify_pass_stands(self) -> None:
        contact = self.wait(verify_at=DatabaseNow() + timedelta(hours=1))
        assert contact.verify_at is not None
        assert contact.verify_at > self.again()

    @pytest.mark.parametrize(("withheld", "usable"), [(FREE, True), (PAID, False)])
    def test_who_is_withheld_for_something_else_waits_for_nothing(self, withheld: str, usable: bool) -> None:
        contact = self.wait(withheld, usable=usable)
        assert (contact.due_at, contact.verify_at) == (None, None)
