"""Forgetting somebody: opted out over there first, then gone here, and never added again by a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import models, transaction
from django.db.models import F
from django.test import Client
from django.urls import reverse

from django_ctct import acts, drain, outbox, privacy, services, vault
from django_ctct.management.commands.ctct_erase import Command
from django_ctct.models import (
    Account,
    Consent,
    Contact,
    ContactList,
    DatabaseNow,
    FormerAddress,
    ListOptOut,
    Suppression,
    SyncState,
    WriteAttempt,
)
from django_ctct.privacy import Erasure
from django_ctct.sandbox import RunningSandbox
from django_ctct.signals import contact_synced, work_due
from django_ctct.types import OptOutSource, Outcome
from tests.account import Sandbox, by_wire, contact, make_due, run_due
from tests.commands.run import run
from tests.sandbox.v3_caller import V3
from tests.settings import API
from tests.site.models import Member

from .conftest import ADA

pytestmark = pytest.mark.sandbox
BOB = "bob@example.com"


def erase(address: str = ADA, patience: float = 5.0) -> Erasure:
    with services.connect("default") as link:
        return privacy.erase(link, address, patience=patience)


def held(text: str) -> list[str]:
    """Return the columns of our tables in which a text stands."""
    found = []
    for model in apps.get_app_config("django_ctct").get_models():
        for row in model._base_manager.values():
            found += [f"{model.__name__}.{name}" for name, value in row.items() if text in str(value)]
    return found


def held_anywhere(text: str) -> list[str]:
    """Return the columns of the whole database in which a text stands: those of Django and of the site too."""
    found = []
    for model in apps.get_models(include_auto_created=True):
        for row in model._base_manager.values():
            found += [f"{model.__name__}.{name}" for name, value in row.items() if text in str(value).lower()]
    return sorted(set(found))


def refused(address: str = ADA) -> bool:
    row = contact(address)
    return (row.state, row.refusal) == (SyncState.REFUSED, "opted_out")


def member_goes() -> None:
    Member.objects.all().delete()


# What it does


def test_she_gets_no_mail_any_more_and_nothing_here_names_her(ada: Sandbox) -> None:
    member_goes()
    before = Consent.objects.values_list("pk", "address_hash", "at", "wording").get()
    outcome = erase()
    assert outcome.is_done
    assert (ada.status_of(ADA), ada.lists_of(ADA)) == ("Do Not Mail", set())
    assert (held(ADA), held("Lovelace")) == ([], [])
    assert not Contact.objects.exists()
    assert not WriteAttempt.objects.exists()
    kept = Consent.objects.get()
    assert (kept.pk, kept.address_hash, kept.at, kept.wording) == before
    assert (kept.contact_id, outcome.consents) == (None, 1)


def test_the_opt_out_is_sent_as_her_own(ada: Sandbox) -> None:
    erase()
    sent = ada.writes()[-1]
    assert sent["method"] == by_wire("DELETE", "PUT")
    assert by_wire("", '"update_source":"Contact"') in sent["body"], "v3: so that the account may not undo it"


def test_the_suppression_is_as_late_as_the_latest_opt_out(ada: Sandbox) -> None:
    ahead = Account.objects.annotate(moment=DatabaseNow()).get().moment + timedelta(days=2)
    Contact.objects.update(opted_out_at=ahead)
    erase()
    assert Suppression.objects.get().at == ahead
    erase()
    assert Suppression.objects.get().at == ahead, "an earlier one never takes its place"


def test_an_address_that_nobody_knows_is_looked_up_and_kept_out(connected: Sandbox) -> None:
    assert erase(BOB).is_done
    assert connected.writes() == []
    assert connected.methods() != []
    assert (Suppression.objects.count(), held(BOB)) == (1, [])


def test_a_stranger_over_there_is_opted_out_too(connected: Sandbox) -> None:
    connected.add(BOB, "Board")
    assert erase(BOB).is_done
    assert connected.status_of(BOB) == "Do Not Mail"


def test_who_has_opted_out_already_is_erased_without_a_write(ada: Sandbox) -> None:
    ada.act(ADA, "unsubscribe")
    ada.forget()
    assert erase().is_done
    assert ada.writes() == []


def test_before_the_plan_is_approved_an_erasure_goes_through(ada: Sandbox) -> None:
    Account.objects.update(approved_at=None, pulled_at=None)
    assert erase().is_done
    assert ada.status_of(ADA) == "Do Not Mail"


def test_who_is_held_for_review_is_erased_too(ada: Sandbox) -> None:
    Contact.objects.update(hold="review", due_at=None)
    assert erase().is_done
    assert ada.status_of(ADA) == "Do Not Mail"


def test_an_address_that_cannot_be_sent_cannot_be_there_and_is_erased(connected: Sandbox) -> None:
    Member.objects.create(email="two words@example.com")
    run_due()
    member_goes()
    assert erase("two words@example.com").is_done
    assert held("two words") == []


@pytest.mark.parametrize("address", ["", "ada", "a" * 250 + "@example.com"])
def test_what_is_no_address_is_not_erased(connected: Sandbox, address: str) -> None:
    with pytest.raises(ValueError, match="no e-mail address"):
        erase(address)
    assert not Contact.objects.exists()


def test_it_refuses_to_run_inside_a_transaction(ada: Sandbox) -> None:
    with services.connect("default") as link, transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        privacy.erase(link, ADA)
    assert contact(ADA).opted_out_at is None


def test_an_address_that_she_is_giving_up_is_gone_with_the_new_one(ada: Sandbox) -> None:
    FormerAddress.objects.create(contact=contact(ADA), email=BOB, at=DatabaseNow())
    Contact.objects.update(known_as=BOB)
    outcome = erase(BOB)
    assert (outcome.is_done, outcome.addresses) == (True, 2)
    assert (held(ADA), held(BOB), Suppression.objects.count()) == ([], [], 2)


def test_her_opt_out_counts_where_she_had_the_address_before(ada: Sandbox) -> None:
    Member.objects.create(email=BOB)
    run_due()
    FormerAddress.objects.create(contact=contact(BOB), email=ADA, at=DatabaseNow())
    erase()
    assert held(ADA) == []
    assert contact(BOB).opted_out_at is not None


@pytest.mark.parametrize(
    "acts_of_staff", [["sync"], ["plan"], ["respect"], ["put_back"], ["remove", "lift"], ["opt_out"]]
)
def test_what_staff_did_for_her_keeps_her_address_in_no_table_of_the_database(
    ada: Sandbox, acts_of_staff: list[str]
) -> None:
    """The admin's log is the site's own and is not erased: it may not name her in the first place."""
    chief = Client()
    chief.force_login(User.objects.create_superuser("chief", "chief@example.com", "pass"))
    ada.act(ADA, "leave", list="Free members")
    acts.sync_now([contact(ADA)])
    run_due()
    left = ListOptOut.objects.get(source="remote")
    meant = {"contacts": contact(ADA).pk, "left": left.pk, "at": left.at.isoformat()}
    for act in acts_of_staff:
        told = {**meant, "confirm": "1", "sure": "on", "why": "A mistake over there."}
        assert chief.post(reverse(f"admin:django_ctct_contact_{act}"), told, follow=True).status_code == 200
    assert LogEntry.objects.count() == len([act for act in acts_of_staff if act != "plan"])
    member_goes()
    assert erase().is_done
    assert held_anywhere(ADA) == []


# In an order that loses nothing


MISHAPS: dict[str, dict[str, Any]] = {
    "down": {"match": "*", "kind": "status", "status": 503},
    "cut": {"match": "*", "kind": "reset"},
    "read but not written": {"match": by_wire("DELETE *", "PUT *"), "kind": "status", "status": 503},
    "garbage": {"match": "GET *", "kind": "garbage"},
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_while_constant_contact_does_not_answer_nothing_is_erased_and_the_opt_out_waits(
    ada: Sandbox, mishap: str
) -> None:
    ada.fault(**MISHAPS[mishap], times=9)
    outcome = erase()
    assert (outcome.is_done, outcome.rows) == (False, 0)
    row = contact(ADA)
    assert (row.opt_out_wanted, row.opted_out_source, row.state) == (True, "site", SyncState.PENDING)
    assert (row.first_name, Suppression.objects.count()) == ("Ada", 0)
    ada.control("faults", method="DELETE")
    WriteAttempt.objects.update(at=F("at") - timedelta(minutes=11))
    make_due()
    run_due()
    assert ada.status_of(ADA) == "Do Not Mail", "the worker carries it out by itself"
    assert erase().is_done


def test_while_a_write_may_still_land_she_is_not_forgotten(ada: Sandbox) -> None:
    row = contact(ADA)
    plain = {"contact": row, "verb": "update", "gen": row.desired_gen, "adds": True, "source": "site"}
    WriteAttempt.objects.create(at=DatabaseNow(), observed_status="active", outcome=Outcome.AMBIGUOUS.value, **plain)
    outcome = erase()
    assert "may still reach Constant Contact" in outcome.waits_for
    assert contact(ADA).opt_out_wanted
    WriteAttempt.objects.update(at=F("at") - timedelta(minutes=3))
    assert erase().is_done


def test_while_a_worker_is_at_her_nothing_is_erased(ada: Sandbox) -> None:
    acts.sync_now([contact(ADA)])
    assert outbox.claim(contact(ADA).pk) is not None
    outcome = erase(patience=0.5)
    assert outcome.waits_for == "A worker is at this contact."
    assert contact(ADA).opt_out_wanted


@contextmanager
def as_soon_as_work_is_due(do: Callable[[], Any]) -> Iterator[None]:
    def hear(**_: Any) -> None:
        work_due.disconnect(hear)
        do()

    work_due.connect(hear)
    try:
        yield
    finally:
        work_due.disconnect(hear)


def test_a_worker_that_is_faster_does_no_harm(ada: Sandbox) -> None:
    ada.forget()
    with as_soon_as_work_is_due(lambda: drain.drain("default")):
        assert erase().is_done
    assert len(ada.writes()) == 1
    assert ada.status_of(ADA) == "Do Not Mail"


def test_a_worker_that_takes_her_up_at_the_last_moment_is_not_robbed_of_her(ada: Sandbox) -> None:
    def take_up(**_: Any) -> None:
        contact_synced.disconnect(take_up)
        acts.sync_now([contact(ADA)])
        assert outbox.claim(contact(ADA).pk) is not None

    contact_synced.connect(take_up)
    assert erase().waits_for == "A worker is at this contact."
    assert contact(ADA).status == "do_not_mail"


def test_two_erasures_at_once_come_to_one(ada: Sandbox) -> None:
    with as_soon_as_work_is_due(erase):
        assert erase().is_done
    assert (Contact.objects.count(), Suppression.objects.count()) == (0, 1)


def test_a_crash_before_the_last_step_leaves_her_opted_out_and_whole(ada: Sandbox) -> None:
    def crash(sender: Any, **_: Any) -> None:
        raise ZeroDivisionError

    models.signals.pre_delete.connect(crash, sender=Contact)
    try:
        with pytest.raises(ZeroDivisionError):
            erase()
    finally:
        models.signals.pre_delete.disconnect(crash, sender=Contact)
    assert (Suppression.objects.count(), Consent.objects.get().contact_id) == (0, contact(ADA).pk)
    assert ada.status_of(ADA) == "Do Not Mail"
    assert erase().is_done


# Never added again


def test_a_member_who_is_mirrored_again_is_refused(ada: Sandbox) -> None:
    assert erase().member
    ada.forget()
    Member.objects.get().save()
    run_due()
    assert refused()
    assert (ada.writes(), ada.status_of(ADA)) == ([], "Do Not Mail")


def test_who_never_was_there_is_not_made_after_her_erasure(connected: Sandbox) -> None:
    assert erase(BOB).is_done
    Member.objects.create(email=BOB, is_sustainer=True)
    run_due()
    assert refused(BOB)
    assert (connected.writes(), BOB in connected.contacts()) == ([], False)


def test_the_suppression_alone_keeps_her_out_where_the_owner_has_brought_her_back(ada: Sandbox) -> None:
    member_goes()
    erase()
    ada.reset({"email": ADA, "lists": ["Board"]})  # as if she had never opted out over there
    ada.bind()
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    assert (ada.lists_of(ADA), ada.writes()) == ({"Board"}, [])


@pytest.mark.skipif(API != "v3", reason="v1 deletes nobody: its DELETE is the opt-out")
def test_deleted_over_there_and_imported_again_she_stays_out(ada: Sandbox, running_sandbox: RunningSandbox) -> None:
    """The account's owner deletes her and imports her anew, and so does the site."""
    erase()
    assert all(one["method"] != "DELETE" for one in ada.writes()), "the site itself has no contact deleted"
    ada.act(ADA, "delete")
    ada.forget()
    Member.objects.all().delete()
    Member.objects.bulk_create([Member(email=ADA, is_free=True, wants_newsletter=True)])
    run("ctct_mirror")
    run_due()
    assert (refused(), ada.writes()) == (True, [])
    rows = {"import_data": [{"email": ADA}], "list_ids": [ada.list_id("Newsletter")]}
    V3(running_sandbox).activity("contacts_json_import", rows)
    acts.sync_now([contact(ADA)])
    run_due()
    assert (refused(), [one["path"] for one in ada.writes()]) == (True, ["/v3/activities/contacts_json_import"])
    assert (ada.status_of(ADA), ada.lists_of(ADA)) == ("Do Not Mail", set())


def test_a_backup_from_before_does_not_bring_her_back(ada: Sandbox, tmp_path: Path) -> None:
    fixture = str(tmp_path / "backup.json")
    call_command("dumpdata", "django_ctct", output=fixture)
    assert ADA in Path(fixture).read_text(encoding="utf-8")
    erase()
    ada.forget()
    call_command("loaddata", fixture, verbosity=0)
    assert contact(ADA).opted_out_at is None, "the backup knows nothing of it"
    acts.sync_now([contact(ADA)])
    run_due()
    assert refused()
    assert (ada.writes(), ada.status_of(ADA)) == ([], "Do Not Mail")
    ada.reset({"email": ADA, "lists": []})
    ada.bind()
    make_due()
    acts.sync_now([contact(ADA)])
    run_due()
    assert (ada.writes(), ada.lists_of(ADA)) == ([], set()), "even if Constant Contact had forgotten it too"


def test_an_older_key_still_keeps_her_out(ada: Sandbox, settings: Any) -> None:
    erase()
    settings.CTCT = {**settings.CTCT, "SECRET_KEYS": [vault.new_key()]}
    ada.reset()
    ada.bind()
    Member.objects.get().save()
    run_due()
    assert (refused(), ada.writes()) == (True, [])


@pytest.mark.parametrize("there", [True, False])
def test_a_later_act_of_her_own_brings_her_back_on_what_she_named(connected: Sandbox, there: bool) -> None:
    if there:
        connected.add(ADA, "Free members")
    erase()
    Member.objects.create(email=ADA, wants_newsletter=True, is_sustainer=True)
    run_due()
    assert refused()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    run_due()
    assert connected.lists_of(ADA) == {"Newsletter"}
    assert contact(ADA).refusal == "left_list", "the other lists stay withheld"


def test_a_consent_from_before_her_erasure_brings_nobody_back(ada: Sandbox) -> None:
    at = Consent.objects.get().at
    erase()
    Member.objects.get().save()
    acts.resubscribe(contact(ADA), ["newsletter"], method="an old letter", at=at)
    run_due()
    assert ada.status_of(ADA) == "Do Not Mail"


def test_staff_cannot_put_her_back(ada: Sandbox) -> None:
    erase()
    Member.objects.get().save()
    run_due()
    acts.leave_all_lists(contact(ADA))
    acts.lift_removal(contact(ADA))
    acts.sync_now([contact(ADA)])
    ada.forget()
    run_due()
    assert (refused(), ada.writes()) == (True, [])


# The command


class Terminal(Command):
    """The command before a person who types this."""

    types: ClassVar[str | None] = None
    asked: ClassVar[list[str]] = []

    @staticmethod
    def ask(prompt: str) -> str:
        Terminal.asked.append(prompt)
        if Terminal.types is None:
            raise EOFError
        return Terminal.types


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    Terminal.types, _ = None, Terminal.asked.clear()
    return Terminal()


@pytest.mark.parametrize("typed", [None, "", "y", "yes", "adda@example.com"])
def test_it_does_nothing_unless_the_address_is_typed_again(ada: Sandbox, terminal: Terminal, typed: str | None) -> None:
    Terminal.types = typed
    ada.forget()
    ran = run(terminal, ADA)
    assert (ran.code, ran.error) == (1, "Nothing was done: the address was not typed again.")
    assert (contact(ADA).opted_out_at, ada.requests()) == (None, [])


def test_it_erases_when_the_address_is_typed_again(ada: Sandbox, terminal: Terminal) -> None:
    Terminal.types = " Ada@Example.com"
    ran = run(terminal, ADA)
    assert ran.code == 0
    assert len(Terminal.asked) == 1
    assert ada.status_of(ADA) == "Do Not Mail"


def test_it_says_what_was_done_and_what_is_kept_where(ada: Sandbox, terminal: Terminal) -> None:
    ran = run(terminal, ADA, "--yes")
    assert Terminal.asked == []
    lines = ran.out.splitlines()
    assert lines[0] == "Opted out: Constant Contact sends her nothing from this account."
    assert "1 consents" in ran.out
    assert "A member of this site still has the address" in ran.out
    assert lines[-1].startswith("Constant Contact keeps its own record of her, as Do Not Mail")
    assert ran.out.isascii()
    assert ADA not in ran.out


def test_when_it_cannot_be_done_yet_it_says_so_and_is_exit_code_1(ada: Sandbox) -> None:
    ada.fault("*", "status", status=503, times=9)
    ran = run("ctct_erase", ADA, "--yes")
    assert ran.code == 1
    assert ran.out.startswith("Nothing was erased yet.")
    assert "Run the same command again" in ran.out
    assert ADA not in ran.out + ran.error
    ada.control("faults", method="DELETE")
    assert run("ctct_erase", ADA, "--yes").code == 0
    assert held(ADA) == []


def test_what_is_no_address_is_said_in_a_sentence(connected: Sandbox) -> None:
    ran = run("ctct_erase", "canary", "--yes")
    assert (ran.code, ran.error) == (1, "This is no e-mail address.")


def test_a_copy_of_the_database_erases_nothing(ada: Sandbox) -> None:
    Account.objects.update(environment="elsewhere:x:")
    ada.forget()
    ran = run("ctct_erase", ADA, "--yes")
    assert (ran.code, ada.requests(), contact(ADA).opted_out_at) == (1, [], None)
    assert "copy" in ran.error


def test_the_managed_lists_need_not_be_bound_for_who_is_on_none(connected: Sandbox) -> None:
    connected.add(BOB)
    ContactList.objects.update(key=None)
    assert run("ctct_erase", BOB, "--yes").code == 0
    assert connected.status_of(BOB) == "Do Not Mail"
    assert Suppression.objects.get().source == OptOutSource.SITE.value
