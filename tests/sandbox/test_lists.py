"""Lists: made, changed, dropped (v1 sheet §4)."""

from __future__ import annotations

import pytest

from tests.sandbox.caller import CTCT, Caller, a_list, entry, list_uri


def test_a_list_without_a_sort_order_reads_back_minus_one(api: Caller) -> None:
    assert api.send("POST", "lists", entry(a_list("Gala"))).status_code == 201
    root = api.tree("lists/4")
    assert root.findtext(f".//{CTCT}SortOrder") == "-1"
    assert root.findtext(f".//{CTCT}OptInDefault") == "false"
    assert root.findtext(f".//{CTCT}DisplayOnSignup") == "No"


def test_a_list_keeps_what_was_sent(api: Caller) -> None:
    api.send("POST", "lists", entry(a_list("R & D", SortOrder="12", OptInDefault="true")))
    root = api.tree("lists/4")
    assert root.findtext(f".//{CTCT}Name") == root.findtext(f".//{CTCT}ShortName") == "R & D"
    assert root.findtext(f".//{CTCT}SortOrder") == "12"
    assert root.findtext(f".//{CTCT}OptInDefault") == "true"


@pytest.mark.parametrize(
    "payload",
    [a_list(None), a_list(""), a_list("x" * 256), a_list(SortOrder="first"), a_list(OptInDefault="yes")],
)
def test_a_wrong_list_is_400(api: Caller, payload: str) -> None:
    assert api.send("POST", "lists", entry(payload)).status_code == 400


def test_a_name_of_255_characters_is_taken(api: Caller) -> None:
    assert api.send("POST", "lists", entry(a_list("x" * 255))).status_code == 201


def test_a_taken_name_is_a_conflict(api: Caller) -> None:
    assert api.send("POST", "lists", entry(a_list("News"))).status_code == 409
    assert api.send("PUT", "lists/1", entry(a_list("News"), list_uri(1))).status_code == 409
    assert api.send("PUT", "lists/3", entry(a_list("News"), list_uri(3))).status_code == 204


def test_a_put_renames_a_list(scene: Caller) -> None:
    answer = scene.send("PUT", "lists/1", entry(a_list("Guests"), list_uri(1)))
    assert (answer.status_code, answer.content) == (204, b"")
    assert scene.person()["lists"] == ["Guests"]


@pytest.mark.parametrize("uri", [list_uri(2), "data:,none"])
def test_a_put_must_carry_the_id_of_the_list(api: Caller, uri: str) -> None:
    assert api.send("PUT", "lists/1", entry(a_list("Guests"), uri)).status_code == 400


def test_a_deleted_list_is_gone_and_its_members_are_removed(scene: Caller) -> None:
    assert scene.send("DELETE", "lists/1").status_code == 204
    assert scene.get("lists/1").status_code == 404
    assert scene.person()["status"] == "Removed"
    scene.send("POST", "lists", entry(a_list("Free members")))
    assert [each["id"] for each in scene.state()["lists"]] == [2, 3, 4]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("name", ["active", "removed", "do-not-mail"])
def test_a_system_list_cannot_be_changed(api: Caller, method: str, name: str) -> None:
    assert api.send(method, f"lists/{name}", entry(a_list("x"), list_uri(name))).status_code == 403


def test_many_lists_come_in_pages_with_system_lists_on_the_first(api: Caller) -> None:
    api.control("reset", {"lists": [f"L{number}" for number in range(60)]})
    first = api.tree("lists")
    assert len(list(first.iter(f"{CTCT}ContactList"))) == 53
    (href,) = [each.get("href") for each in first.findall("{*}link") if each.get("rel") == "next"]
    second = api.session.get(f"{api.running.url}{href}", timeout=10)
    assert second.text.count("<ContactList ") == 10
    assert 'rel="next"' not in second.text
