"""What is refused, with which status, and in which order it is looked at (v1 sheet §1, §8, §12)."""

from __future__ import annotations

import pytest

from tests.sandbox.caller import ATOM_TYPE, CONTACT, CUSTOMER, Caller, a_list, contact, entry, list_uri

NO_LIST = "Error 400: The new contact must contain at least on valid ContactList"


@pytest.mark.parametrize(
    "auth",
    [
        None,
        ("sandbox-key%acme", "wrong"),
        ("other-key%acme", "sandbox-password"),
        ("sandbox-key%other", "sandbox-password"),
        ("acme", "sandbox-password"),
    ],
)
def test_wrong_credentials_are_401(api: Caller, auth: tuple[str, str] | None) -> None:
    api.session.auth = auth
    answer = api.get("contacts")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("header", ["Basic !!!", "Basic", "Bearer", "Bearer wrong", "Basic //79", "Digest x"])
def test_a_broken_authorization_header_is_401(api: Caller, header: str) -> None:
    api.session.auth = None
    assert api.get("contacts", headers={"Authorization": header}).status_code == 401


def test_a_bearer_token_is_taken_from_the_header_or_the_query(api: Caller) -> None:
    api.session.auth = None
    assert api.get("contacts", headers={"Authorization": "Bearer sandbox-token"}).status_code == 200
    assert api.get("contacts?access_token=sandbox-token").status_code == 200
    assert api.get("contacts?access_token=wrong").status_code == 401
    assert "sandbox-token" not in str(api.requests())


@pytest.mark.parametrize("user", ["other", "ACME", "Acme"])
def test_the_path_of_another_account_or_case_is_403(api: Caller, user: str) -> None:
    url = f"{api.running.url}/ws/customers/{user}/contacts"
    assert api.session.get(url, timeout=10).status_code == 403


def test_the_base_without_its_slash_is_a_403_page(api: Caller) -> None:
    answer = api.session.get(api.base.rstrip("/"), timeout=10)
    assert answer.status_code == 403
    assert "text/html" in answer.headers["Content-Type"]


@pytest.mark.parametrize("path", ["contacts/9", "contacts/x", "contact", "lists/9", "lists/x", "lists/9/members"])
def test_what_does_not_exist_is_404(api: Caller, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.text.startswith("Error 404: ")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_writes_to_what_does_not_exist_are_404(api: Caller) -> None:
    assert api.put(9).status_code == 404
    assert api.delete(9).status_code == 404
    assert api.send("PUT", "lists/9", entry(a_list(), list_uri(9))).status_code == 404
    assert api.send("DELETE", "lists/9").status_code == 404


def test_paths_outside_any_door_are_404(api: Caller) -> None:
    assert api.session.get(api.running.url + "/elsewhere", timeout=10).status_code == 404
    assert api.session.get(api.running.url + "/ws/other", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "contacts"),
        ("DELETE", "contacts"),
        ("POST", "contacts/1"),
        ("PATCH", "contacts/1"),
        ("POST", "lists/1/members"),
    ],
)
def test_an_unsupported_method_is_415(scene: Caller, method: str, path: str) -> None:
    assert scene.send(method, path, entry(contact())).status_code == 415


@pytest.mark.parametrize("media", ["text/xml", "application/json", "application/x-www-form-urlencoded", ""])
def test_a_wrong_content_type_is_415(api: Caller, media: str) -> None:
    answer = api.send("POST", "contacts", entry(contact()), headers={"Content-Type": media})
    assert answer.status_code == 415


def test_a_content_type_may_have_a_parameter(api: Caller) -> None:
    headers = {"Content-Type": "application/atom+xml;type=entry"}
    assert api.send("POST", "contacts", entry(contact()), headers=headers).status_code == 201


def test_a_form_sent_to_lists_is_400(api: Caller) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.send("POST", "lists", "name=x", headers=headers).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not xml",
        "<entry>",
        "<entry/>",
        "<feed xmlns='http://www.w3.org/2005/Atom'/>",
        entry(""),
        entry("<Contact><EmailAddress>a@example.com</EmailAddress></Contact>"),
        entry(a_list()),
        "<!DOCTYPE entry []>" + entry(contact()),
        "<!DOCTYPE e [<!ENTITY a 'b'>]><e>&a;</e>",
        "<?xml version='1.0' encoding='no-such'?>" + entry(contact()),
        "<a>" * 5000 + "</a>" * 5000,
        "<a>" * 200_000,
    ],
)
def test_a_body_that_is_no_entry_with_a_contact_is_400(api: Caller, body: str) -> None:
    assert api.send("POST", "contacts", body).status_code == 400


def test_bytes_that_are_not_utf8_are_400(api: Caller) -> None:
    assert api.send("POST", "contacts", entry(contact()).encode() + b"\xff\xfe").status_code == 400


@pytest.mark.parametrize("name", ["id", "title", "author", "updated"])
def test_every_atom_element_must_be_there(api: Caller, name: str) -> None:
    assert api.send("POST", "contacts", entry(contact(), leave_out=name)).status_code == 400


@pytest.mark.parametrize(("atom_id", "status"), [("2", 400), ("", 400), ("data:,", 201), ("urn:uuid:1", 201)])
def test_the_atom_id_must_be_a_uri(api: Caller, atom_id: str, status: int) -> None:
    assert api.send("POST", "contacts", entry(contact(), atom_id)).status_code == status


@pytest.mark.parametrize(
    ("moment", "status"), [("2010-01-01", 201), ("2010-01-01T00:00:00+02:00", 201), ("soon", 400), ("", 400)]
)
def test_the_atom_date_must_be_a_date(api: Caller, moment: str, status: int) -> None:
    body = entry(contact()).replace("2010-01-01T00:00:00.000Z", moment)
    assert api.send("POST", "contacts", body).status_code == status


@pytest.mark.parametrize(
    "address", [None, "", "ada", "ada@", "@example.com", "a b@example.com", "a" * 69 + "@example.com"]
)
def test_the_address_must_be_one(api: Caller, address: str | None) -> None:
    assert api.post(address=address).status_code == 400


def test_element_names_are_case_sensitive(api: Caller) -> None:
    body = entry(contact()).replace("EmailAddress", "emailaddress")
    assert api.send("POST", "contacts", body).status_code == 400


def test_unknown_and_read_only_elements_are_tolerated(api: Caller) -> None:
    extra = {"Status": "Do Not Mail", "Name": "x", "Confirmed": "true", "InsertTime": "y", "Colour": "blue"}
    assert api.post(**extra).status_code == 201
    assert (api.person()["status"], api.person()["confirmed"]) == ("Active", False)


@pytest.mark.parametrize(
    ("name", "limit"), [("FirstName", 50), ("CustomField15", 50), ("PostalCode", 25), ("Note", 500)]
)
def test_a_text_of_the_longest_length_is_taken_and_a_longer_one_refused(api: Caller, name: str, limit: int) -> None:
    assert api.post(address="a@example.com", **{name: "ü" * limit}).status_code == 201
    assert api.post(address="b@example.com", **{name: "ü" * (limit + 1)}).status_code == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"CountryCode": "us", "StateCode": "MA"}, 201),
        ({"CountryCode": "ca", "StateCode": "QC"}, 201),
        ({"StateCode": "QC"}, 201),
        ({"CountryCode": "US"}, 400),
        ({"CountryCode": "us", "StateCode": "QC"}, 400),
        ({"StateCode": "ZZ"}, 400),
        ({"EmailType": "Text"}, 201),
        ({"EmailType": "text"}, 400),
        ({"EmailType": ""}, 201),
    ],
)
def test_codes_must_be_known(api: Caller, fields: dict[str, str], status: int) -> None:
    assert api.post(**fields).status_code == status


@pytest.mark.parametrize("word", ["ACTION_BY_OWNER", "action_by_customer", "x"])
def test_a_wrong_source_is_500_on_post_and_put(scene: Caller, word: str) -> None:
    assert scene.post(address="new@example.com", source=word).status_code == 500
    assert scene.put(1, source=word).status_code == 500
    assert len(scene.state()["contacts"]) == 4


def test_a_missing_source_is_400(scene: Caller) -> None:
    assert scene.post(address="new@example.com", source=None).status_code == 400
    assert scene.put(1, source=None).status_code == 400


@pytest.mark.parametrize(
    "lists", [None, [], [9], ["junk"], [list_uri(1, "other")], ["http://example.com/ws/customers/acme/lists/1"]]
)
def test_a_new_contact_needs_a_valid_list(api: Caller, lists: list[int | str] | None) -> None:
    answer = api.post(lists=lists)
    assert (answer.status_code, answer.text) == (400, NO_LIST)
    assert api.state()["contacts"] == []


def test_a_put_that_names_unknown_lists_only_removes_nobody(scene: Caller) -> None:
    assert scene.put(1, lists=[9]).status_code == 400
    assert scene.person()["lists"] == ["Free members"]


def test_list_ids_may_be_https_or_of_this_host(api: Caller) -> None:
    here = f"{api.base}lists/2"
    assert api.post(lists=[list_uri(1).replace("http:", "https:"), here]).status_code == 201
    assert api.person()["lists"] == ["Free members", "Sustainers"]


def test_checks_come_in_the_order_of_the_sheet(scene: Caller) -> None:
    """Repair one mistake after the other: each answer is the status of the next check."""
    bad = contact("ada@example.com", [], "wrong", FirstName="x" * 51)
    no_text = {"Content-Type": "text/plain"}
    auth, scene.session.auth = scene.session.auth, None
    assert scene.send("POST", "contacts", "junk", headers=no_text).status_code == 401
    scene.session.auth = auth
    assert scene.send("POST", "contacts", "junk", headers=no_text).status_code == 415
    assert scene.send("POST", "contacts", "junk", headers=ATOM_TYPE).status_code == 400
    answer = scene.send("POST", "contacts", entry(bad))
    assert (answer.status_code, "FirstName" in answer.text) == (400, True)
    assert scene.post(lists=[], source="wrong").status_code == 500
    assert scene.post(lists=[1]).status_code == 409
    assert scene.post(address="new@example.com", lists=[9]).status_code == 400
    assert scene.post(address="new@example.com", lists=[1]).status_code == 201


def test_an_opt_out_is_looked_at_before_the_lists_and_the_address(scene: Caller) -> None:
    assert scene.put(3, address="ada@example.com", lists=[9], source=CUSTOMER).status_code == 403
    assert scene.put(3, address="ada@example.com", lists=[1], source=CONTACT).status_code == 409
