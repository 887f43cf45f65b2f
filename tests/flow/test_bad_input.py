"""Bad input, from the site's side and from the server's: staff see a sentence, nothing is written, nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from django_ctct import acts
from django_ctct.models import Contact, ContactList, Hold, SyncState
from tests.account import UNMANAGED, Sandbox, by_wire, contact, make_due, run_due, with_wrong_secret
from tests.settings import API
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA = "ada@example.com"
NS = 'xmlns="http://ws.constantcontact.com/ns/1.0/"'


def _entry(inside: str, wrapper: str = "Contact", number: str = "NUMBER") -> str:
    """Write an entry of v1; the test puts the contact's own number into it."""
    root = f"http://api.constantcontact.com/ws/customers/acme/contacts/{number}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><entry xmlns="http://www.w3.org/2005/Atom">'
        f"<id>{root}</id><title/><updated>2026-01-01T00:00:00.000Z</updated>"
        f'<content type="application/vnd.ctct+xml"><{wrapper} {NS} id="{root}">{inside}</{wrapper}></content></entry>'
    )


ADDRESS = f"<EmailAddress>{ADA}</EmailAddress>"
WHOLE = "<Status>Removed</Status>" + ADDRESS + "<ContactLists/>"
#: What a server may answer by mistake, and the code under which staff find it.
XML_ANSWERS = {
    "truncated": (_entry(WHOLE)[:-40], "unreadable"),
    "not XML": ("Welcome to the hotel's wireless network", "unreadable"),
    "no namespace": (_entry(WHOLE).replace(NS, ""), "wrong_namespace"),
    "wrong namespace": (_entry(WHOLE).replace("/ns/1.0/", "/ns/2.0/"), "wrong_namespace"),
    "a DTD": ('<!DOCTYPE entry [<!ENTITY a "b">]>' + _entry(WHOLE)[38:], "dtd"),
    "two statuses": (_entry("<Status>Active</Status>" + WHOLE), "two_status"),
    "an unknown status": (_entry(WHOLE.replace("Removed", "Sleeping")), "unknown_status"),
    "no ContactLists on an active contact": (_entry("<Status>Active</Status>" + ADDRESS), "no_contact_lists"),
    "no address": (_entry(WHOLE.replace(ADDRESS, "")), "no_email_address"),
    "another contact": (_entry(WHOLE, number="98765"), "other_contact"),
    "another kind of entry": (_entry("<Name>Free members</Name>", wrapper="ContactList"), "no_contact"),
}


EMAIL = {"address": ADA, "permission_to_send": "implicit"}


def _contact(**parts: Any) -> str:
    """Write a contact of v3, with these parts changed; the test puts the contact's own id into it."""
    return json.dumps({"contact_id": "NUMBER", "email_address": EMAIL, "list_memberships": [], **parts})


JSON_ANSWERS = {
    "truncated": (_contact()[:-20], "unreadable"),
    "not JSON": ("Welcome to the hotel's wireless network", "unreadable"),
    "an array": ("[" + _contact() + "]", "unknown_shape"),
    "nothing": ("", "unreadable"),
    "null": ("null", "unknown_shape"),
    "very deep": ("[" * 5000, "too_deep"),
    "a name twice as an object": (_contact(first_name={"first": "Ada"}), "unknown_shape"),
    "an unknown permission": (
        _contact(email_address={"address": ADA, "permission_to_send": "perhaps"}),
        "unknown_permission",
    ),
    "no permission": (_contact(email_address={"address": ADA}), "unknown_permission"),
    "lists that are no ids": (_contact(list_memberships=["../../lists", 7]), "unknown_shape"),
    "an id that is none": (_contact(contact_id="../contact_lists"), "unknown_shape"),
    "another contact": (_contact(contact_id="00000000-2fa1-41d2-883f-0016d3cca427"), "other_contact"),
}
ANSWERS = by_wire(XML_ANSWERS, JSON_ANSWERS)


@pytest.fixture
def upgrading(connected: Sandbox) -> Sandbox:
    """Ada is a Free member who has just upgraded; her contact is known."""
    member = Member.objects.create(email=ADA)
    run_due()
    member.is_free, member.is_sustainer = False, True
    member.save()
    connected.forget()
    return connected


def answered(box: Sandbox, body: str) -> Contact:
    """Let the next read of Ada be answered like this, and reconcile her."""
    body = body.replace("NUMBER", str(contact(ADA).remote_id))
    box.fault("GET */contacts/*", "status", status=200, body=body, times=1)
    run_due()
    return contact(ADA)


def test_the_answers_below_are_bad_in_one_thing_each(upgrading: Sandbox) -> None:
    answered(upgrading, by_wire(_entry(WHOLE), _contact()))
    assert upgrading.methods() == ["GET", "PUT"], "without that thing they are understood"


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_cannot_be_understood_is_shown_and_nothing_is_written(
    upgrading: Sandbox, admin_client: Client, case: str
) -> None:
    body, code = ANSWERS[case]
    seen = answered(upgrading, body)
    assert upgrading.writes() == []
    assert (seen.state, seen.error_code) == (SyncState.PENDING, code)
    assert ADA not in seen.error_text
    page = admin_client.get(reverse("admin:django_ctct_contact_change", args=[seen.pk]))
    assert escape(seen.error_text) in page.content.decode()
    make_due()
    run_due()
    assert upgrading.lists_of(ADA) == {"Sustainers"}, "it is tried again, and nothing was lost"
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
    one, two = (_entry("<Status>Active</Status>" + ADDRESS, number=number)[38:] for number in "12")
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><id>x:y</id>{one}{two}</feed>'
    ids = ("1b4e28ba-2fa1-41d2-883f-0016d3cca427", "2b4e28ba-2fa1-41d2-883f-0016d3cca427")
    page = f'{{"contacts": [{", ".join(_contact(contact_id=one) for one in ids)}]}}'
    connected.fault("GET */contacts?email=*", "status", status=200, body=by_wire(feed, page), times=1)
    Member.objects.create(email=ADA)
    run_due()
    assert connected.writes() == []
    assert contact(ADA).error_code == "duplicate"
    assert "two contacts have the same address" in contact(ADA).error_text


@pytest.mark.skipif(API == "v3", reason="only v1 may say 'nobody' by a 500; in v3 it is a fault (docs/wires.md)")
@pytest.mark.parametrize("wish", ["opt out", "leave a list", "no list at all"])
@pytest.mark.parametrize(
    ("then", "code", "text"), [(500, "http_500", "500"), (200, "search", "finds nobody, whoever is asked for")]
)
def test_a_search_that_answers_500_is_no_proof_that_nobody_is_there(
    connected: Sandbox, wish: str, then: int, code: str, text: str
) -> None:
    connected.add(ADA, "Free members", "Newsletter")
    Member.objects.create(email=ADA, is_free=False, wants_newsletter=wish == "leave a list")
    if wish == "leave a list":
        acts.leave_list(ADA, "newsletter")
    if wish == "opt out":
        acts.opt_out(contact(ADA))
    connected.fault("GET */contacts?email=*", "status", status=500, body="Server Error", times=2)
    connected.fault("GET */contacts?email=*", "status", status=then, body='<feed xmlns="http://www.w3.org/2005/Atom"/>')
    run_due()
    seen = contact(ADA)
    assert seen.state == SyncState.PENDING
    assert (seen.error_code, text in seen.error_text) == (code, True)
    assert connected.writes() == []
    connected.control("faults", method="DELETE")
    make_due()
    run_due()
    assert contact(ADA).error_code == ""
    assert connected.status_of(ADA) == ("Do Not Mail" if wish == "opt out" else "Removed")


@pytest.mark.skipif(API == "v3", reason="only v1 may say 'nobody' by a 500; in v3 it is a fault (docs/wires.md)")
@pytest.mark.parametrize("others", [True, False])
def test_where_500_means_nobody_an_unknown_address_is_in_sync_on_no_list(connected: Sandbox, others: bool) -> None:
    connected.switch(email_miss="error")
    if others:
        connected.add("bob@example.com", UNMANAGED)
    Member.objects.create(email=ADA, is_free=False)
    run_due()
    assert contact(ADA).state == SyncState.IN_SYNC
    assert connected.writes() == []


@pytest.mark.skipif(API == "v3", reason="only v1 may say 'nobody' by a 500; in v3 it is a fault (docs/wires.md)")
def test_a_contact_that_comes_while_its_absence_is_made_sure_of_is_read(connected: Sandbox) -> None:
    connected.add(ADA, "Free members")
    Member.objects.create(email=ADA, is_free=False)
    connected.fault("GET */contacts?email=*", "status", status=500, body="Server Error", times=2)
    run_due()
    assert (contact(ADA).state, contact(ADA).error_code) == (SyncState.PENDING, "stale")
    make_due()
    run_due()
    assert connected.status_of(ADA) == "Removed"


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
    settings.CTCT = with_wrong_secret(right, "wrong")
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


def test_an_opt_out_waits_for_no_list(connected: Sandbox) -> None:
    member = Member.objects.create(email="ada@example.com")
    run_due()
    ContactList.objects.filter(key="newsletter").update(key=None)
    member.wants_newsletter = True
    member.save()
    acts.opt_out(contact("ada@example.com"))
    run_due()
    assert connected.status_of("ada@example.com") == "Do Not Mail"
