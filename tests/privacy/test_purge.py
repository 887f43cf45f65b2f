"""Old writes go, but for those that the books still reckon with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from django_ctct import acts, ledger, privacy, tasks, vault
from django_ctct.models import Account, Consent, Contact, DatabaseNow, WriteAttempt
from tests.account import Sandbox, contact, run_due
from tests.commands.run import run
from tests.site.models import Member

from .conftest import ADA

YEARS = timedelta(days=800)


def row(email: str = ADA) -> Contact:
    return Contact.objects.for_address(Account.objects.for_alias("default"), email)


def write(of: Contact, days: int, outcome: str = "ok", **more: Any) -> WriteAttempt:
    plain = {"verb": "update", "gen": 1, "adds": False, "source": "site", "observed_status": "active"}
    return WriteAttempt.objects.create(
        contact=of, at=DatabaseNow() - timedelta(days=days), outcome=outcome, **{**plain, **more}
    )


def left() -> set[Any]:
    return set(WriteAttempt.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_old_writes_go_and_the_latest_stays() -> None:
    for days, outcome in [(900, "ok"), (800, "refused"), (700, "not_sent"), (600, "verified"), (366, "ok")]:
        write(row(), days, outcome)
    kept = {write(row(), 364).pk, write(row(), 1).pk, write(row("bob@example.com"), 900).pk}
    assert privacy.purge() == 5
    assert left() == kept
    assert privacy.purge() == 0


@pytest.mark.django_db
def test_the_latest_stays_however_old_it_is() -> None:
    write(row(), 900)
    latest = write(row(), 500)
    assert privacy.purge() == 1
    assert left() == {latest.pk}


@pytest.mark.django_db
@pytest.mark.parametrize("outcome", ["open", "ambiguous"])
def test_the_journal_of_a_contact_with_an_unclear_write_stays_whole(outcome: str) -> None:
    write(row(), 900, outcome, lists_after=["1", "2"])
    write(row(), 899, lists_after=["1"])
    write(row(), 400, lists_after=["1"])
    before = ledger.load(row().pk, vault.address_hashes).base
    assert privacy.purge() == 0
    assert ledger.load(row().pk, vault.address_hashes).base == before


@pytest.mark.django_db
def test_the_journal_of_a_contact_who_came_back_by_a_consent_stays_whole() -> None:
    consent = Consent.objects.create(
        account=row().account,
        contact=row(),
        address_hash=vault.address_hash(ADA),
        key="free",
        at=DatabaseNow() - timedelta(days=901),
        method="x",
    )
    write(row(), 900, source="contact", consent=consent, consent_at=consent.at)
    write(row(), 800)
    write(row(), 700)
    assert privacy.purge() == 0


@pytest.mark.django_db
def test_it_goes_chunk_by_chunk_and_another_time_can_be_named() -> None:
    for number in range(7):
        for days in (50, 40, 30, 20):
            write(row(f"m{number}@example.com"), days)
    assert privacy.purge(older_than=timedelta(days=35), chunk=3) == 14
    assert WriteAttempt.objects.count() == 14


@pytest.mark.sandbox
def test_a_purge_changes_nothing_about_what_will_be_done(connected: Sandbox) -> None:
    """The same people before and after: one who left and came back, one who opted out and came back, one plain."""
    for name in ("ada", "bob", "cleo"):
        Member.objects.create(email=f"{name}@example.com", wants_newsletter=True)
    run_due()
    connected.act("bob@example.com", "unsubscribe")
    acts.leave_list(ADA, "newsletter")
    acts.sync_now(Contact.objects.all())
    run_due()
    for name in ("ada", "bob"):
        acts.resubscribe(contact(f"{name}@example.com"), ["newsletter"], method="preference page")
    run_due()
    acts.leave_list("cleo@example.com", "newsletter")
    run_due()
    lists = {email: one["lists"] for email, one in connected.contacts().items()}
    WriteAttempt.objects.update(at=F("at") - YEARS)
    before = WriteAttempt.objects.count()
    gone = privacy.purge()
    assert 0 < gone < before
    connected.forget()
    acts.sync_now(Contact.objects.all())
    run_due()
    assert connected.writes() == []
    assert {email: one["lists"] for email, one in connected.contacts().items()} == lists
    connected.act("bob@example.com", "unsubscribe")
    acts.sync_now(Contact.objects.all())
    run_due()
    assert connected.status_of("bob@example.com") == "Do Not Mail"


@pytest.mark.django_db
def test_the_nightly_task_and_the_command_purge() -> None:
    kept = write(row(), 1).pk
    write(row(), 900)
    tasks.tidy()
    assert left() == {kept}
    write(row(), 30)
    assert run("ctct_purge", "--days=20").out == "1 old writes deleted.\n"
    assert left() == {kept}
    assert "at least one day" in run("ctct_purge", "--days=0").error
