"""One account under two wires: what v1 writes v3 reads, and the other way round."""

from __future__ import annotations

import pytest
import requests

from django_ctct.sandbox import RunningSandbox
from tests.sandbox.caller import CONTACT, Caller, a_list, entry
from tests.sandbox.v3_caller import V3, email

ADA = "ada@example.com"


@pytest.fixture
def v1(running: RunningSandbox, v3: V3) -> Caller:
    return Caller(running)


def uuid_of(v3: V3, address: str = ADA) -> str:
    (found,) = v3.read("/contacts", email=address, status="all")["contacts"]
    return str(found["contact_id"])


def test_a_contact_of_v1_is_a_contact_of_v3(v1: Caller, v3: V3) -> None:
    fields = {"FirstName": "Ada", "LastName": "Byron", "JobTitle": "Countess", "CompanyName": "Engines"}
    phones = {"HomePhone": "1", "WorkPhone": "2"}
    place = {"Addr1": "1 Lane", "Addr2": "Flat 2", "City": "Boston", "StateCode": "MA", "CountryCode": "us"}
    v1.post(lists=[3], **fields, **phones, **place, PostalCode="02110", CustomField3="A1")
    ada = v3.one(uuid_of(v3))
    assert [ada[name] for name in ("first_name", "last_name", "job_title", "company_name")] == list(fields.values())
    assert {each["kind"]: each["phone_number"] for each in ada["phone_numbers"]} == {"home": "1", "work": "2"}
    (street,) = ada["street_addresses"]
    parts = ("kind", "street", "city", "state", "postal_code", "country")
    expected = ["home", "1 Lane, Flat 2", "Boston", "Massachusetts", "02110", "United States"]
    assert [street[name] for name in parts] == expected
    assert ada["list_memberships"] == [v3.list_id()]
    (field,) = v3.read("/contact_custom_fields")["custom_fields"]
    assert (field["name"], ada["custom_fields"][0]) == (
        "custom_field_3",
        {"custom_field_id": field["custom_field_id"], "value": "A1"},
    )
    assert ada["email_address"]["permission_to_send"] == "implicit"


def test_a_contact_of_v3_is_a_contact_of_v1(v1: Caller, v3: V3) -> None:
    field = v3.send("POST", "/contact_custom_fields", {"label": "Custom Field 3", "type": "string"}).json()
    v3.made(
        first_name="Ada",
        list_memberships=[v3.list_id()],
        phone_numbers=[{"kind": "work", "phone_number": "2"}],
        street_addresses=[{"kind": "home", "street": "1 Lane", "state": "MA", "country": "United States"}],
        custom_fields=[{"custom_field_id": field["custom_field_id"], "value": "A1"}],
    )
    text = v1.get("contacts/1").text
    expected = {
        "Status": "Active",
        "EmailAddress": ADA,
        "FirstName": "Ada",
        "WorkPhone": "2",
        "Addr1": "1 Lane",
        "StateCode": "MA",
        "CountryCode": "us",
        "CustomField3": "A1",
    }
    for name, value in expected.items():
        assert f"<{name}>{value}</{name}>" in text
    assert v1.post(address="ADA@example.com").status_code == 409


def test_a_write_of_v1_leaves_alone_what_it_cannot_say(v1: Caller, v3: V3) -> None:
    uuid = v3.made(
        list_memberships=[v3.list_id()],
        birthday_month=12,
        birthday_day=10,
        phone_numbers=[{"kind": "mobile", "phone_number": "7"}],
        notes=[{"content": "n"}],
    )
    assert v1.put(1, lists=[2], FirstName="Ada").status_code == 204
    ada = v3.one(uuid)
    assert (ada["first_name"], ada["birthday_month"], ada["notes"][0]["content"]) == ("Ada", 12, "n")
    assert [(each["kind"], each["phone_number"]) for each in ada["phone_numbers"]] == [("mobile", "7")]
    assert ada["list_memberships"] == [v3.list_id("Sustainers")]


def test_an_address_of_three_lines_survives_a_round_trip_through_v3(v1: Caller, v3: V3) -> None:
    v1.post(Addr1="1 Lane", Addr2="Flat 2", StateCode="MA")
    uuid = uuid_of(v3)
    v3.send("PUT", f"/contacts/{uuid}", v3.one(uuid))
    assert "<Addr1>1 Lane</Addr1><Addr2>Flat 2</Addr2>" in v1.get("contacts/1").text


def test_an_opt_out_on_one_wire_is_one_on_the_other(v1: Caller, v3: V3) -> None:
    v1.post()
    v1.delete(1)
    mail = v3.one(uuid_of(v3))["email_address"]
    assert (mail["permission_to_send"], mail["opt_out_source"]) == ("unsubscribed", "Account")
    bo = v3.made("bo@example.com", list_memberships=[v3.list_id()])
    v3.put(bo, "Contact", email_address=email("bo@example.com", "unsubscribed"))
    assert "<Status>Do Not Mail</Status>" in v1.get("contacts/2").text
    assert v1.put(2, address="bo@example.com").status_code == 403


def test_a_join_by_the_contact_on_v1_is_explicit_on_v3(v1: Caller, v3: V3) -> None:
    v1.post()
    v1.delete(1)
    assert v1.put(1, lists=[1], source=CONTACT).status_code == 204
    mail = v3.one(uuid_of(v3))["email_address"]
    assert (mail["permission_to_send"], mail["opt_in_source"]) == ("explicit", "Contact")


def test_deleted_on_v3_is_removed_on_v1_and_comes_back_by_a_list(v1: Caller, v3: V3) -> None:
    uuid = v3.made(list_memberships=[v3.list_id()])
    v3.send("DELETE", f"/contacts/{uuid}")
    assert "<Status>Removed</Status>" in v1.get("contacts/1").text
    assert v1.put(1, lists=[1]).status_code == 204
    assert "deleted_at" not in v3.one(uuid)


def test_lists_are_the_same_on_both_wires(v1: Caller, v3: V3) -> None:
    gala = v3.send("POST", "/contact_lists", {"name": "Gala", "description": "kept"}).json()["list_id"]
    assert "<Name>Gala</Name>" in v1.get("lists/4").text
    uri = "http://api.constantcontact.com/ws/customers/acme/lists/4"
    assert v1.send("PUT", "lists/4", entry(a_list("Ball"), uri)).status_code == 204
    found = v3.read(f"/contact_lists/{gala}")
    assert (found["name"], found["description"]) == ("Ball", "kept")
    v1.send("DELETE", "lists/4")
    assert "deleted_at" in v3.read(f"/contact_lists/{gala}")


def test_v1_does_not_know_who_has_no_address(v1: Caller, v3: V3) -> None:
    v3.made(None, first_name="Bo", list_memberships=[v3.list_id()])
    v3.made()
    assert v1.addresses("contacts") == [ADA]
    assert v1.addresses("lists/3/members") == []
    assert v1.addresses("contacts?email=") == []


def test_the_fixed_token_is_good_on_both_wires(v1: Caller, v3: V3) -> None:
    headers = {"Authorization": "Bearer sandbox-token"}
    assert requests.get(v1.base + "contacts", headers=headers, timeout=5).status_code == 200
    assert requests.get(v3.running.url + "/v3/contacts", headers=headers, timeout=5).status_code == 200


def test_controls_speak_of_both_wires(v3: V3) -> None:
    people = [
        {"email": ADA, "lists": ["News"], "permission": "explicit"},
        {"email": "gone@example.com", "permission": "unsubscribed"},
        {"email": "held@example.com", "permission": "temp_hold"},
        {"email": "wait@example.com", "permission": "pending_confirmation"},
        {"email": "deleted@example.com", "deleted": True},
    ]
    state = v3.control("reset", {"contacts": people})
    told = {each["email"].partition("@")[0]: each for each in state["contacts"]}
    assert {name: each["permission"] for name, each in told.items()} == {
        "ada": "explicit",
        "gone": "unsubscribed",
        "held": "temp_hold",
        "wait": "pending_confirmation",
        "deleted": "implicit",
    }
    assert {name for name, each in told.items() if each["deleted"]} == {"deleted"}
    assert told["ada"]["list_uuids"] == [v3.list_id()]
    assert told["ada"]["uuid"] == uuid_of(v3)
    assert v3.act("delete")["deleted"]
    answer = requests.post(
        f"{v3.running.url}/_sandbox/reset", json={"contacts": [{"email": ADA, "permission": "maybe"}]}, timeout=5
    )
    assert (answer.status_code, "permission" in answer.json()["error"]) == (400, True)


def test_a_write_of_v3_holds_the_permission_that_the_system_gave(v3: V3) -> None:
    v3.control("reset", {"contacts": [{"email": ADA, "permission": "temp_hold"}]})
    uuid = uuid_of(v3)
    assert v3.put(uuid, email_address=email(permission="temp_hold")).status_code == 200
    assert v3.put(uuid, email_address=email(permission="not_set")).status_code == 400
    assert v3.one(uuid)["email_address"]["permission_to_send"] == "temp_hold"
