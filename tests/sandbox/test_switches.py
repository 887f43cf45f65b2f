"""Every switch both ways."""

from __future__ import annotations

import dataclasses
from urllib.parse import quote

import pytest

from django_ctct.sandbox import Switches
from tests.sandbox.caller import CONTACT, CTCT, CUSTOMER, Caller, a_list, contact, entry, list_uri, names
from tests.sandbox.conftest import ACTIVE, GONE

DORA = "dora@example.com"


@pytest.mark.parametrize(("position", "status"), [("empty", 200), ("error", 500)])
def test_email_miss(scene: Caller, position: str, status: int) -> None:
    scene.switch(email_miss=position)
    assert scene.get("contacts?email=nobody%40example.com").status_code == status
    assert scene.get("contacts?email=nobody%40example.com&email=ada%40example.com").status_code == 200


@pytest.mark.parametrize(("position", "found"), [(True, ["ada@example.com"]), (False, [])])
def test_updatedsince_inclusive(scene: Caller, position: bool, found: list[str]) -> None:
    scene.switch(updatedsince_inclusive=position)
    updated = scene.tree("contacts/1").findtext(f".//{CTCT}LastUpdateTime") or ""
    assert scene.addresses(f"contacts?updatedsince={quote(updated)}&listid=1") == found


@pytest.mark.parametrize(("position", "name"), [("plain", "Dora"), ("comma", ", Dora")])
def test_lone_name(scene: Caller, position: str, name: str) -> None:
    scene.switch(lone_name=position)
    assert f"<Name>{name}</Name>" in scene.get("contacts").text


@pytest.mark.parametrize("position", [True, False])
def test_opt_out_shown(scene: Caller, position: bool) -> None:
    scene.switch(opt_out_shown=position)
    assert ("<OptOutTime>" in scene.get("contacts/3").text) is position


@pytest.mark.parametrize(("position", "first_name"), [("clear", ""), ("keep", "Ada")])
def test_put_omitted(scene: Caller, position: str, first_name: str) -> None:
    scene.switch(put_omitted=position)
    assert scene.put(ACTIVE, LastName="King").status_code == 204
    fields = scene.person()["fields"]
    assert (fields.get("FirstName", ""), fields["LastName"]) == (first_name, "King")


@pytest.mark.parametrize(
    ("position", "status", "lists"),
    [("remove_all", 204, []), ("reject", 400, ["Free members"]), ("keep", 204, ["Free members"])],
)
def test_missing_contact_lists(scene: Caller, position: str, status: int, lists: list[str]) -> None:
    scene.switch(missing_contact_lists=position)
    assert scene.put(ACTIVE, lists=None).status_code == status
    assert scene.person()["lists"] == lists


@pytest.mark.parametrize(("position", "status"), [(True, 400), (False, 204)])
def test_empty_lists_need_optin(scene: Caller, position: bool, status: int) -> None:
    scene.switch(empty_lists_need_optin=position)
    assert scene.put(ACTIVE, lists=[], source=None).status_code == status
    assert scene.put(ACTIVE, lists=[1], source=None).status_code == 400


@pytest.mark.parametrize(("position", "status"), [("accept", 204), ("reject", 400)])
def test_empty_lists_put(scene: Caller, position: str, status: int) -> None:
    scene.switch(empty_lists_put=position)
    assert scene.put(ACTIVE, lists=[]).status_code == status


@pytest.mark.parametrize(("position", "status"), [(False, 400), (True, 204)])
def test_legacy_remove_by_contact(scene: Caller, position: bool, status: int) -> None:
    scene.switch(legacy_remove_by_contact=position)
    assert scene.put(ACTIVE, lists=[], source=CONTACT).status_code == status
    assert scene.person()["status"] == ("Removed" if position else "Active")


@pytest.mark.parametrize(("position", "status"), [(True, 400), (False, 409)])
def test_list_check_before_duplicate(scene: Caller, position: bool, status: int) -> None:
    scene.switch(list_check_before_duplicate=position)
    assert scene.post(lists=[]).status_code == status


@pytest.mark.parametrize(("position", "status"), [("ignore", 204), ("reject", 400)])
def test_unknown_list(scene: Caller, position: str, status: int) -> None:
    scene.switch(unknown_list=position)
    assert scene.put(ACTIVE, lists=[2, 9]).status_code == status
    assert scene.person()["lists"] == (["Sustainers"] if status == 204 else ["Free members"])


@pytest.mark.parametrize("position", ["409", "400"])
def test_taken_address_put(scene: Caller, position: str) -> None:
    scene.switch(taken_address_put=position)
    assert scene.put(ACTIVE, address=DORA).status_code == int(position)


@pytest.mark.parametrize(("position", "start"), [("http", "http://api."), ("https", "https://api."), ("none", "")])
def test_location_scheme(api: Caller, position: str, start: str) -> None:
    api.switch(location_scheme=position)
    location = api.post().headers.get("Location", "")
    assert location.startswith(start)
    assert bool(location) is (position != "none")


@pytest.mark.parametrize(("position", "source"), [(True, CUSTOMER), (False, CONTACT)])
def test_keep_optin_on_kept_membership(scene: Caller, position: bool, source: str) -> None:
    scene.switch(keep_optin_on_kept_membership=position)
    scene.put(ACTIVE, lists=[1], source=CONTACT)
    assert scene.person()["sources"] == {"Free members": source}


@pytest.mark.parametrize("position", [True, False])
def test_list_put_bumps_update(scene: Caller, position: bool) -> None:
    scene.switch(list_put_bumps_update=position)
    names_sent = {"FirstName": "Ada", "LastName": "Byron"}
    scene.put(ACTIVE, **names_sent)  # settles what a first PUT changes beside the lists
    before = scene.person()["updated"]
    scene.control("clock", {"advance": 5})
    scene.put(ACTIVE, lists=[2], **names_sent)
    assert (scene.person()["updated"] != before) is position
    scene.put(ACTIVE, lists=[2], City="Bonn")
    assert scene.person()["updated"] != before


@pytest.mark.parametrize("position", [True, False])
def test_etag(scene: Caller, position: bool) -> None:
    scene.switch(etag=position)
    tag = scene.get("contacts/1").headers.get("ETag")
    assert (tag is not None) is position
    headers = {"Content-Type": "application/atom+xml", "If-Match": tag or '"x"'}
    body = entry(contact(lists=[2]))
    assert scene.send("PUT", "contacts/1", body, headers=headers).status_code == 204
    again = scene.send("PUT", "contacts/1", body, headers=headers).status_code
    assert again == (412 if position else 204)


@pytest.mark.parametrize(("position", "status"), [("refuse", 403), ("accept", 204)])
def test_dnm_details_put(scene: Caller, position: str, status: int) -> None:
    scene.switch(dnm_details_put=position)
    assert scene.put(GONE, address=DORA, lists=[], City="Bonn").status_code == status
    assert scene.put(GONE, address=DORA, lists=[1]).status_code == 403
    assert scene.person(DORA)["status"] == "Do Not Mail"


@pytest.mark.parametrize(("position", "status"), [("403", 403), ("400", 400), ("silent_ignore", 204)])
def test_dnm_refusal(scene: Caller, position: str, status: int) -> None:
    scene.switch(dnm_refusal=position)
    before = scene.person(DORA)
    assert scene.put(GONE, address=DORA, lists=[1], City="Bonn").status_code == status
    assert scene.person(DORA) == before


@pytest.mark.parametrize("position", ["204", "404"])
def test_delete_again(scene: Caller, position: str) -> None:
    scene.switch(delete_again=position)
    before = scene.person(DORA)
    assert scene.delete(GONE).status_code == int(position)
    assert scene.person(DORA) == before


@pytest.mark.parametrize("position", [CUSTOMER, CONTACT])
def test_delete_source(scene: Caller, position: str) -> None:
    scene.switch(delete_source=position)
    scene.delete(ACTIVE)
    assert scene.person()["opt_out"]["source"] == position


@pytest.mark.parametrize(
    ("position", "source", "status"),
    [(False, CONTACT, "Active"), (True, CONTACT, "Unconfirmed"), (True, CUSTOMER, "Active")],
)
def test_confirmed_optin(api: Caller, position: bool, source: str, status: str) -> None:
    api.switch(confirmed_optin=position)
    api.post(source=source)
    assert api.person()["status"] == status
    api.control("act", {"do": "confirm", "email": "ada@example.com"})
    assert (api.person()["status"], api.person()["confirmed"]) == ("Active", True)


@pytest.mark.parametrize("position", [True, False])
def test_contact_count(api: Caller, position: bool) -> None:
    api.switch(contact_count=position)
    assert ("<ContactCount>" in api.get("lists/1").text) is position


@pytest.mark.parametrize(("position", "last"), [("capture", "link"), ("entry", "source")])
def test_list_created_body(api: Caller, position: str, last: str) -> None:
    import xml.etree.ElementTree as ET

    api.switch(list_created_body=position)
    answer = api.send("POST", "lists", entry(a_list("Gala")))
    assert names(ET.fromstring(answer.content))[-1] == last


@pytest.mark.parametrize("position", ["403", "404"])
def test_system_list_write(api: Caller, position: str) -> None:
    api.switch(system_list_write=position)
    assert api.send("PUT", "lists/active", entry(a_list("x"), list_uri("active"))).status_code == int(position)


@pytest.mark.parametrize("position", ["403", "401"])
def test_foreign_account(api: Caller, position: str) -> None:
    api.switch(foreign_account=position)
    url = f"{api.running.url}/ws/customers/other/contacts"
    assert api.session.get(url, timeout=10).status_code == int(position)


@pytest.mark.parametrize(
    ("position", "media"),
    [("typed", "application/atom+xml;type=feed"), ("plain", "application/atom+xml"), ("xml", "text/xml;charset=UTF-8")],
)
def test_content_type(api: Caller, position: str, media: str) -> None:
    api.switch(content_type=position)
    assert api.get("contacts").headers["Content-Type"] == media


@pytest.mark.parametrize(
    ("position", "start"),
    [("text", "Error 404: "), ("xml", "<error><message>Error 404: "), ("html", "<html>")],
)
def test_error_body(api: Caller, position: str, start: str) -> None:
    api.switch(error_body=position)
    answer = api.get("contacts/9")
    assert answer.status_code == 404
    assert answer.text.startswith(start)


@pytest.mark.parametrize(("position", "status"), [(True, 200), (False, 404)])
def test_service_document(api: Caller, position: bool, status: int) -> None:
    api.switch(service_document=position)
    assert api.get("").status_code == status


def test_every_switch_has_a_test_that_names_it() -> None:
    from pathlib import Path

    here = Path(__file__).parent
    text = "".join(
        (here / name).read_text()
        for name in ("test_switches.py", "test_limits.py", "test_contacts_feed.py", "test_v3_switches.py")
    )
    assert [each.name for each in dataclasses.fields(Switches) if f"{each.name}=" not in text] == []
