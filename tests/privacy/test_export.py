"""All that is held about an address, for the person who asks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import get_commands, load_command_class

from django_ctct import acts, privacy, vault
from django_ctct.models import Account, Consent, Contact, DatabaseNow, FormerAddress, Suppression
from django_ctct.types import ConsentKind
from tests.account import Sandbox, contact, run_due
from tests.commands.run import run
from tests.site.models import Member

from .conftest import ADA

pytestmark = pytest.mark.sandbox
BOB = "bob@example.com"
DOCS = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")


def export(address: str = ADA) -> dict[str, Any]:
    return json.loads(run("ctct_export", address).out)


def test_every_row_about_her_is_told_with_every_column(ada: Sandbox) -> None:
    told = export(" Ada@Example.com ")
    row = contact(ADA)
    assert {"account": told["account"], "address": told["address"]} == {"account": "default", "address": ADA}
    assert set(told["contact"]) == {one.attname for one in Contact._meta.concrete_fields}
    assert (told["contact"]["first_name"], told["contact"]["profile"]) == ("Ada", row.profile)
    assert [one["key"] for one in told["memberships"]] == ["free", "newsletter"]
    assert {one["list"] for one in told["remote_memberships"]} == {"Board", "Free members", "Newsletter"}
    assert [(one["list"], one["source"]) for one in told["list_opt_outs"]] == [("Newsletter", "site")]
    assert [one["wording"] for one in told["consents"]] == ["Yes, write to me"]
    assert [one["verb"] for one in told["writes"]] == ["update", "update", "update"]
    assert told["suppressions"] == []


def test_every_table_that_hangs_on_a_contact_is_in_it(ada: Sandbox) -> None:
    hanging = {one.get_accessor_name() for one in Contact._meta.related_objects}
    assert hanging - {"list_opt_outs"} <= set(privacy.export(Account.objects.get(), ADA))


def test_nobody_elses_rows_are_in_it(ada: Sandbox) -> None:
    Member.objects.create(email=BOB, wants_newsletter=True)
    run_due()
    acts.resubscribe(contact(BOB), ["newsletter"], method="web form")
    assert BOB not in run("ctct_export", ADA).out
    told = export(BOB)
    assert len(told["writes"]) == len(told["consents"]) == 1


def test_consents_are_found_without_a_contact_and_under_an_older_key(ada: Sandbox, settings: Any) -> None:
    contact(ADA).delete()
    settings.CTCT = {**settings.CTCT, "SECRET_KEYS": [vault.new_key()]}
    told = export()
    assert told["contact"] is None
    assert [one["method"] for one in told["consents"]] == ["preference page"]


def test_a_suppression_is_told(ada: Sandbox) -> None:
    account = Account.objects.get()
    gone = Suppression.objects.create(
        account=account, address_hash=vault.address_hash(BOB), at=DatabaseNow(), source="site"
    )
    assert [one["id"] for one in export(BOB)["suppressions"]] == [gone.pk]


def test_an_address_that_she_is_giving_up_leads_to_her(ada: Sandbox) -> None:
    FormerAddress.objects.create(contact=contact(ADA), email=BOB, at=DatabaseNow())
    Contact.objects.update(known_as=BOB)
    told = export(BOB)
    assert told["contact"]["email"] == ADA
    assert [one["email"] for one in told["former_addresses"]] == [BOB]


def test_nothing_held_is_exit_code_1_and_prints_nothing(connected: Sandbox) -> None:
    ran = run("ctct_export", "canary@example.com")
    assert (ran.code, ran.out, ran.error) == (1, "", "Nothing is held about this address.")


def test_it_can_be_printed_on_any_terminal_and_calls_nobody(ada: Sandbox) -> None:
    Member.objects.create(email=BOB, first_name="Zoë", last_name="Łuczak \U0001f4ef")
    acts.resubscribe(contact(BOB), ["free"], method="form", wording="Écrivez-moi", kind=ConsentKind.REQUEST)
    ada.forget()
    ran = run("ctct_export", BOB, "--indent", "2")
    assert ran.out.isascii()
    assert json.loads(ran.out)["contact"]["last_name"] == "Łuczak \U0001f4ef"
    assert ran.out.startswith('{\n  "account": "default"')
    assert ada.requests() == []


def test_other_accounts_are_left_out(ada: Sandbox, settings: Any) -> None:
    accounts = settings.CTCT["ACCOUNTS"]
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {**accounts, "other": accounts["default"]}}
    other = Account.objects.for_alias("other")
    Consent.objects.create(
        account=other, address_hash=vault.address_hash(ADA), key="free", at=DatabaseNow(), method="elsewhere"
    )
    told = json.loads(run("ctct_export", ADA, "--account", "other").out)
    assert (told["contact"], [one["method"] for one in told["consents"]]) == (None, ["elsewhere"])
    assert [one["method"] for one in export()["consents"]] == ["preference page"]


# What the docs say


def test_the_docs_name_every_command_that_says_it_prints_personal_data() -> None:
    ours = [name for name, app in get_commands().items() if app == "django_ctct"]
    printing = {
        name
        for name in ours
        if re.search(r"Prints (the address|addresses|personal data)", load_command_class("django_ctct", name).help)
    }
    (named,) = re.findall(r"commands print it, because that is what they are for:(.*?)\. ", DOCS, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", named)) == printing


def test_no_page_of_the_admin_is_for_consents() -> None:
    assert "no page there makes, changes or deletes one" in DOCS
    assert Consent not in admin.site._registry
    assert Consent not in {one.model for page in admin.site._registry.values() for one in page.inlines}
