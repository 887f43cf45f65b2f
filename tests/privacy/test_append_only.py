"""A consent is recorded once. Nobody changes or deletes it, and staff cannot make one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.test import Client
from django.urls import get_resolver

from django_ctct.models import Account, AppendOnly, Consent, Contact, ContactList, DatabaseNow, ListOptOut, Suppression
from django_ctct.types import ConsentKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def consent() -> Consent:
    account = Account.objects.for_alias("default")
    row = Contact.objects.create(account=account, email="ada@example.com", claimed=True, desired_gen=1, applied_gen=1)
    made = Consent.objects.create(
        account=account, contact=row, address_hash="k:1", key="newsletter", at=DatabaseNow(), method="web form"
    )
    return Consent.objects.get(pk=made.pk)


def rows() -> list[dict[str, Any]]:
    return list(Consent.objects.order_by("pk").values())


WAYS: dict[str, Callable[[Consent], Any]] = {
    "save": lambda it: it.save(),
    "save some fields": lambda it: it.save(update_fields=["key"]),
    "delete": lambda it: it.delete(),
    "update a set": lambda it: Consent.objects.update(key="free"),
    "update a chosen set": lambda it: Consent.objects.filter(pk=it.pk).update(contact=None),
    "update through the contact": lambda it: it.contact.consents.update(key="free"),
    "part from the contact": lambda it: it.contact.consents.clear(),
    "update in bulk": lambda it: Consent.objects.bulk_update([it], ["key"]),
    "replace in bulk": lambda it: Consent.objects.bulk_create(
        [it], update_conflicts=True, update_fields=["key"], unique_fields=["pk"]
    ),
    "update or create": lambda it: Consent.objects.update_or_create(pk=it.pk, defaults={"key": "free"}),
    "delete a set": lambda it: Consent.objects.all().delete(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_recorded_consent_is_neither_changed_nor_deleted(consent: Consent, way: str) -> None:
    before = rows()
    consent.key = "free"
    with pytest.raises(AppendOnly, match="Record her next act as a new one"), transaction.atomic():
        WAYS[way](consent)
    assert rows() == before


def test_another_row_cannot_be_put_in_its_place(consent: Consent) -> None:
    before = rows()
    forged = Consent(pk=consent.pk, account=consent.account, address_hash="x", key="free", at=consent.at, method="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        forged.save()
    assert rows() == before


def test_new_ones_can_be_added_one_by_one_and_many_at_once(consent: Consent) -> None:
    more = {"account": consent.account, "address_hash": "k:1", "key": "free", "at": consent.at, "method": "x"}
    Consent(**more).save()
    Consent.objects.bulk_create([Consent(**more), Consent(**more)])
    assert Consent.objects.count() == 4


def test_only_its_name_by_a_newer_key_may_change(consent: Consent) -> None:
    (before,) = rows()
    assert Consent.objects.renamed("k:1", "n:1") == 1
    assert rows() == [{**before, "address_hash": "n:1"}]


def test_it_outlives_the_contact(consent: Consent) -> None:
    (before,) = rows()
    assert consent.contact is not None
    consent.contact.delete()
    assert rows() == [{**before, "contact_id": None}]


def test_an_account_with_consents_or_suppressed_addresses_is_not_deleted(consent: Consent) -> None:
    with pytest.raises(ProtectedError):
        consent.account.delete()
    other = Account.objects.for_alias("other")
    Suppression.objects.create(account=other, address_hash="k:2", at=consent.at, source="site")
    with pytest.raises(ProtectedError):
        other.delete()
    assert (Consent.objects.count(), Suppression.objects.count()) == (1, 1)


def test_the_database_refuses_an_own_act_that_somebody_else_recorded(consent: Consent) -> None:
    record = {"account": consent.account, "address_hash": "k:1", "key": "free", "at": consent.at, "actor": "sam"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.create(**record, kind=ConsentKind.CONTACT_ACTION.value)
    Consent.objects.create(**record, kind=ConsentKind.REQUEST.value)


# The admin


@pytest.fixture
def chief() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    return client


@pytest.mark.parametrize("page", ["", "add/", "{pk}/change/", "{pk}/delete/", "{pk}/history/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_admin_has_no_page_for_consents(consent: Consent, chief: Client, page: str, method: str) -> None:
    before = rows()
    answer = getattr(chief, method)("/admin/django_ctct/consent/" + page.format(pk=consent.pk), {"post": "yes"})
    assert answer.status_code in (302, 404)  # the index's catch-all; never a page
    assert answer.status_code == 404 or "/login/" not in answer["Location"]
    assert rows() == before


def _addresses(pk: int) -> set[str]:
    """Return every address of the admin's pages about our tables, for one row."""
    found = set()
    prefix, resolver = get_resolver().namespace_dict["admin"]
    for name in list(resolver.reverse_dict):
        if isinstance(name, str) and name.startswith("django_ctct_"):
            for possibilities, *_ in resolver.reverse_dict.getlist(name):
                found |= {f"/{prefix}{path % dict.fromkeys(arguments, pk)}" for path, arguments in possibilities}
    return found


def _ran(contact: Contact, path: str) -> bool:
    """Say whether the act behind a page has been done, by what it leaves in the tables."""
    left, log = ListOptOut.objects.filter(contact=contact), LogEntry.objects.filter(object_id=str(contact.pk))
    contact.refresh_from_db()
    signs = {
        "sync": contact.due_at is not None,
        "respect": left.filter(reviewed_by="chief", put_back_why="").exists(),
        "put-back": left.filter(put_back_why="she rang").exists(),
        "remove": left.filter(source="owner").exists(),
        "count-again": log.filter(change_message__contains="rules count again").exists(),
        "opt-out": contact.opt_out_wanted and contact.opted_out_source == "owner",
    }
    return signs[path]


def test_a_superuser_makes_no_consent_by_any_page_of_the_admin(consent: Consent, chief: Client) -> None:
    contact = consent.contact
    assert contact is not None
    letter, free = (
        ContactList.objects.create(account=consent.account, remote_id=number, name=key, key=key)
        for number, key in (("1", "newsletter"), ("2", "free"))
    )
    before, paths = rows(), _addresses(contact.pk)
    root = "/admin/django_ctct/contact/"
    assert f"{root}{contact.pk}/change/" in paths
    assert len(paths) > 10
    left = ListOptOut.objects.create(contact=contact, list=letter, at=DatabaseNow(), source="remote")
    left.refresh_from_db()
    told = {
        "contacts": contact.pk,
        "left": left.pk,
        "at": left.at.isoformat(),
        "alias": consent.account.alias,
        "account": consent.account.alias,
        "list": free.pk,
        "sure": "on",
        "confirm": "1",
        "post": "yes",
        "why": "she rang",
        "kind": "contact_action",
        "actor": "",
    }
    acts_in_order = ["sync", "respect", "put-back", "remove", "count-again", "opt-out"]
    for name in acts_in_order:
        assert f"{root}{name}/" in paths
        assert not _ran(contact, name), name
        assert chief.post(f"{root}{name}/", told).status_code == 302, name
        assert _ran(contact, name), name
        assert rows() == before
    others = paths - {f"{root}{name}/" for name in acts_in_order}
    for path in sorted(others - {one for one in others if one.endswith("/connect/")}):
        chief.post(path, told)
        assert rows() == before, path
