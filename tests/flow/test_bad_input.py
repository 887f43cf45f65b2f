"""Bad input, from the site's side and from the server's: staff see a sentence, nothing is written, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from django_ctct.models import Contact, ContactList, Hold, SyncState
from tests.account import Sandbox, contact, make_due, run_due
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA = "ada@example.com"
NS = 'xmlns="http://ws.constantcontact.com/ns/1.0/"'


def _entry(inside: str, wrapper: str = "Contact") -> str:
    root = "http://127.0.0.1/ws/customers/acme/contacts/1"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><entry xmlns="http://www.w3.org/2005/Atom">'
        f"<id>http://api.constantcontact.com/ws/customers/acme/contacts/1</id><title/><updated>2026-01-01T00:00:00.000Z</updated>"
        f'<content type="application/vnd.ctct+xml"><{wrapper} {NS} id="{root}">{inside}</{wrapper}></content></entry>'
    )


ADDRESS = f"<EmailAddress>{ADA}</EmailAddress>"
ANSWERS = {
    "truncated": _entry("<Status>Active</Status>" + ADDRESS)[:-40],
    "not XML": "Welcome to the hotel's wireless network",
    "no namespace": _entry("<Status>Active</Status>" + ADDRESS + "<ContactLists/>").replace(NS, ""),
    "wrong namespace": _entry("<Status>Active</Status>" + ADDRESS + "<ContactLists/>").replace("/ns/1.0/", "/ns/2.0/"),
    "a DTD": '<!DOCTYPE entry [<!ENTITY a "b">]>'
    + _entry("<Status>Active</Status>" + ADDRESS + "<ContactLists/>")[38:],
    "two statuses": _entry("<Status>Active</Status><Status>Removed</Status>" + ADDRESS + "<ContactLists/>"),
    "an unknown status": _entry("<Status>Sleeping</Status>" + ADDRESS + "<ContactLists/>"),
    "no ContactLists on an active contact": _entry("<Status>Active</Status>" + ADDRESS),
    "no address": _entry("<Status>Active</Status><ContactLists/>"),
    "another kind of entry": _entry("<Name>Free members</Name>", wrapper="ContactList"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_cannot_be_understood_is_shown_and_nothing_is_written(connected: Sandbox, case: str) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    member.is_free, member.is_sustainer = False, True
    member.save()
    connected.forget()
    connected.fault("GET */contacts/*", "status", status=200, body=ANSWERS[case], times=1)
    run_due()
    seen = contact(ADA)
    assert connected.writes() == []
    assert seen.state == SyncState.PENDING
    assert seen.error_text
    assert ADA not in seen.error_text
    make_due()
    run_due()
    assert connected.lists_of(ADA) == {"Sustainers"}, "it is tried again, and nothing was lost"
    assert contact(ADA).state == SyncState.IN_SYNC


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("not an address", "no address can have"),
        ("ada.example.com", "not an e-mail address"),
        ("ada@" + "x" * 80 + ".example.com", "takes 80"),
        ("ada\x07@example.com", "no address can have"),
    ],
)
def test_an_address_that_cannot_be_sent_is_shown_and_no_request_is_made(
    connected: Sandbox, address: str, text: str
) -> None:
    member = Member.objects.create(email=address)
    run_due()
    seen = Contact.objects.with_state().get()
    assert (seen.state, seen.hold) == (SyncState.FAILED, Hold.INVALID)
    assert text in seen.error_text
    assert connected.requests() == []
    member.email = ADA
    member.save()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}


def test_a_member_without_an_address_is_on_no_list_and_makes_no_contact(connected: Sandbox) -> None:
    Member.objects.create(email="  ")
    run_due()
    assert not Contact.objects.exists()
    assert connected.requests() == []


def test_addresses_that_differ_in_case_and_blanks_are_one_contact(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    Member.objects.create(email="  ADA@Example.com ", is_free=False, wants_newsletter=True)
    run_due()
    assert connected.lists_of(ADA) == {"Free members", "Newsletter"}
    assert Contact.objects.count() == 1


def test_control_characters_in_a_name_are_not_sent(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, first_name="A\x0bda\x07", last_name="Love\nlace")
    run_due()
    fields = connected.contacts()[ADA]["fields"]
    assert (fields["FirstName"], fields["LastName"]) == ("A da", "Love lace")
    assert contact(ADA).state == SyncState.IN_SYNC


def test_a_key_without_a_list_holds_the_contact_until_it_is_bound(connected: Sandbox) -> None:
    ContactList.objects.filter(key="free").update(key=None)
    Member.objects.create(email=ADA)
    run_due()
    seen = contact(ADA)
    assert (seen.state, seen.hold) == (SyncState.FAILED, Hold.UNBOUND)
    assert "free" in seen.error_text
    assert connected.requests() == []
    connected.bind()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}


def test_a_search_that_finds_two_contacts_of_one_address_writes_nothing(connected: Sandbox) -> None:
    one = _entry("<Status>Active</Status>" + ADDRESS)[38:]
    two = one.replace("/contacts/1", "/contacts/2")
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><id>x:y</id>{one}{two}</feed>'
    connected.fault("GET */contacts?email=*", "status", status=200, body=feed, times=1)
    Member.objects.create(email=ADA)
    run_due()
    assert connected.writes() == []
    assert contact(ADA).error_text


def test_a_conflict_on_create_is_read_again_and_solved(connected: Sandbox) -> None:
    connected.fault("POST */contacts", "status", status=409, body="Error 409: exists", times=1)
    Member.objects.create(email=ADA)
    run_due()
    assert contact(ADA).state == SyncState.PENDING
    make_due()
    run_due()
    assert contact(ADA).state == SyncState.IN_SYNC


def test_a_created_contact_without_a_location_is_looked_up_again(connected: Sandbox) -> None:
    connected.fault("POST */contacts", "status", status=201, body="", apply=True, times=1)
    Member.objects.create(email=ADA)
    run_due()
    assert contact(ADA).state == SyncState.PENDING
    make_due()
    run_due()
    assert [one["method"] for one in connected.writes()] == ["POST"]
    assert connected.lists_of(ADA) == {"Free members"}


def test_refused_credentials_hold_the_account_and_not_the_contacts(connected: Sandbox, settings: Any) -> None:
    right = settings.CTCT
    account = right["ACCOUNTS"]["default"]
    wrong = {**account, "OPTIONS": {**account["OPTIONS"], "password": "wrong"}}
    settings.CTCT = {**right, "ACCOUNTS": {"default": wrong}}
    for number in range(3):
        Member.objects.create(email=f"m{number}@example.com")
    run_due()
    assert len(connected.requests()) == 1
    account_row = Contact.objects.first().account
    assert account_row.auth_failed_at is not None
    assert not Contact.objects.exclude(hold="").exists()
    settings.CTCT = right
    type(account_row).objects.update(paused_until=None)
    make_due()
    run_due()
    account_row.refresh_from_db()
    assert account_row.auth_failed_at is None
    assert len(connected.contacts()) == 3


def test_a_refused_write_is_tried_once_more_and_then_shown(connected: Sandbox) -> None:
    connected.fault("POST */contacts", "status", status=400, body="Error 400: no", times=5)
    member = Member.objects.create(email=ADA)
    run_due()
    make_due()
    run_due()
    make_due()
    run_due()
    seen = contact(ADA)
    assert (seen.state, seen.hold) == (SyncState.FAILED, Hold.REJECTED)
    assert len(connected.writes()) == 2
    connected.control("faults", method="DELETE")
    member.first_name = "Ada"
    member.save()
    run_due()
    assert contact(ADA).state == SyncState.IN_SYNC
