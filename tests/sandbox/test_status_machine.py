"""Every row of the status table (v1 sheet §6), asked over HTTP."""

from __future__ import annotations

import pytest

from tests.sandbox.caller import CONTACT, CUSTOMER, Caller
from tests.sandbox.conftest import ACTIVE, GONE, REMOVED

ADDRESSES = ["ada@example.com", "rex@example.com", "dora@example.com", "una@example.com"]


@pytest.mark.parametrize("source", [CUSTOMER, CONTACT])
def test_a_new_contact_on_a_list_is_active(api: Caller, source: str) -> None:
    assert api.post(lists=[1, 3], source=source).status_code == 201
    person = api.person()
    assert (person["status"], person["lists"]) == ("Active", ["Free members", "News"])
    assert person["sources"] == {"Free members": source, "News": source}


@pytest.mark.parametrize("source", [CUSTOMER, CONTACT])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_post_of_a_known_address_is_a_conflict_and_changes_nothing(scene: Caller, address: str, source: str) -> None:
    before = scene.person(address)
    assert scene.post(address=address, lists=[2], source=source, FirstName="Other").status_code == 409
    assert scene.person(address) == before


def test_a_put_replaces_the_memberships(scene: Caller) -> None:
    answer = scene.put(ACTIVE, lists=[2, 3])
    assert (answer.status_code, answer.content) == (204, b"")
    assert scene.person()["lists"] == ["News", "Sustainers"]
    assert scene.person()["status"] == "Active"


def test_a_put_of_no_lists_by_the_customer_makes_removed(scene: Caller) -> None:
    assert scene.put(ACTIVE, lists=[], source=CUSTOMER).status_code == 204
    person = scene.person()
    assert (person["status"], person["lists"], person["opt_out"]) == ("Removed", [], None)


def test_a_put_of_no_lists_by_the_contact_is_refused_since_2013(scene: Caller) -> None:
    assert scene.put(ACTIVE, lists=[], source=CONTACT).status_code == 400
    assert scene.person()["lists"] == ["Free members"]


@pytest.mark.parametrize(("number", "address"), [(ACTIVE, "ada@example.com"), (REMOVED, "rex@example.com")])
def test_a_delete_opts_the_contact_out_and_keeps_the_record(scene: Caller, number: int, address: str) -> None:
    assert scene.delete(number).status_code == 204
    person = scene.person(address)
    assert (person["id"], person["status"], person["lists"]) == (number, "Do Not Mail", [])
    assert person["opt_out"]["source"] == CUSTOMER
    assert scene.addresses(f"contacts?email={address.replace('@', '%40')}") == [address]
    assert scene.get(f"contacts/{number}").status_code == 200


@pytest.mark.parametrize("source", [CUSTOMER, CONTACT])
def test_a_put_brings_back_a_removed_contact(scene: Caller, source: str) -> None:
    assert scene.put(REMOVED, address="rex@example.com", lists=[2], source=source).status_code == 204
    person = scene.person("rex@example.com")
    assert (person["status"], person["sources"]) == ("Active", {"Sustainers": source})


@pytest.mark.parametrize("source", [CUSTOMER, CONTACT])
def test_details_of_a_removed_contact_may_change(scene: Caller, source: str) -> None:
    answer = scene.put(REMOVED, address="rex@example.com", lists=[], source=source, City="Boston")
    assert answer.status_code == 204
    person = scene.person("rex@example.com")
    assert (person["status"], person["fields"]["City"]) == ("Removed", "Boston")


def test_the_customer_cannot_bring_back_who_opted_out(scene: Caller) -> None:
    before = scene.person("dora@example.com")
    assert scene.put(GONE, address="dora@example.com", lists=[1], source=CUSTOMER).status_code == 403
    assert scene.person("dora@example.com") == before


def test_the_contact_can_come_back(scene: Caller) -> None:
    assert scene.put(GONE, address="dora@example.com", lists=[1, 2], source=CONTACT).status_code == 204
    person = scene.person("dora@example.com")
    assert (person["status"], person["opt_out"]) == ("Active", None)
    assert person["sources"] == {"Free members": CONTACT, "Sustainers": CONTACT}


def test_details_of_an_opted_out_contact_are_refused_to_the_customer(scene: Caller) -> None:
    assert scene.put(GONE, address="dora@example.com", lists=[], City="Bonn").status_code == 403
    assert "City" not in scene.person("dora@example.com")["fields"]


def test_details_of_an_opted_out_contact_may_change_by_the_contact(scene: Caller) -> None:
    answer = scene.put(GONE, address="dora@example.com", lists=[], source=CONTACT, City="Bonn")
    assert answer.status_code == 204
    person = scene.person("dora@example.com")
    assert (person["status"], person["fields"]["City"]) == ("Do Not Mail", "Bonn")


def test_an_opt_in_source_inside_the_lists_does_not_count(scene: Caller) -> None:
    from tests.sandbox.caller import contact, entry

    body = entry(contact("dora@example.com", [1], CUSTOMER)).replace(
        "</ContactList>", f"<OptInSource>{CONTACT}</OptInSource></ContactList>"
    )
    assert scene.send("PUT", f"contacts/{GONE}", body).status_code == 403


def test_a_put_may_change_the_address_and_keeps_the_id(scene: Caller) -> None:
    assert scene.put(ACTIVE, address="Ada.New@Example.com").status_code == 204
    assert scene.person("ada.new@example.com")["id"] == ACTIVE
    assert scene.addresses("contacts?email=ada%40example.com") == []


def test_a_put_onto_a_taken_address_is_a_conflict(scene: Caller) -> None:
    assert scene.put(ACTIVE, address="rex@example.com").status_code == 409


def test_a_kept_membership_keeps_its_source_and_time(scene: Caller) -> None:
    time_before = scene.tree("contacts/1").findtext(".//{*}OptInTime")
    scene.control("clock", {"advance": 60})
    scene.put(ACTIVE, lists=[1, 2], source=CONTACT)
    assert scene.person()["sources"] == {"Free members": CUSTOMER, "Sustainers": CONTACT}
    times = [each.text for each in scene.tree("contacts/1").findall(".//{*}OptInTime")]
    assert times[0] == time_before
    assert times[1] != time_before
