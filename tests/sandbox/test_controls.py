"""The controls under /_sandbox/: what a machine can do, and what it is told when it is wrong."""

from __future__ import annotations

import time

import pytest
import requests

from tests.sandbox.caller import CONTACT, CUSTOMER, Caller

DORA = "dora@example.com"


def refused(api: Caller, name: str, given: object, status: int = 400) -> str:
    answer = requests.post(f"{api.running.url}/_sandbox/{name}", json=given, timeout=5)
    assert answer.status_code == status
    return str(answer.json()["error"])


def act(api: Caller, do: str, email: str = "ada@example.com", **more: object) -> dict[str, object]:
    found: dict[str, object] = api.control("act", {"do": do, "email": email, **more})["contact"]
    return found


def test_the_state_shows_contacts_and_lists(scene: Caller) -> None:
    state = scene.state()
    assert [each["name"] for each in state["lists"]] == ["Free members", "Sustainers", "News"]
    assert [(each["id"], each["count"]) for each in state["lists"]] == [(1, 1), (2, 0), (3, 1)]
    ada = scene.person()
    assert (ada["id"], ada["status"], ada["lists"], ada["list_ids"]) == (1, "Active", ["Free members"], [1])
    assert ada["fields"] == {"FirstName": "Ada", "LastName": "Byron"}
    assert ada["sources"] == {"Free members": CUSTOMER}
    assert ada["opt_out"] is None
    assert len({each["uuid"] for each in state["contacts"] + state["lists"]}) == 7
    assert scene.person(DORA)["opt_out"]["source"] == CONTACT


def test_a_reset_makes_a_fresh_account(scene: Caller) -> None:
    scene.fault(kind="status", times=None)
    scene.get("lists")
    scene.control("clock", {"advance": 1e6})
    state = scene.control(
        "reset", {"contacts": [{"email": "bo@example.com", "lists": ["B", "A"], "CustomField3": "x"}]}
    )
    assert [each["name"] for each in state["lists"]] == ["B", "A"]
    assert [(each["id"], each["lists"]) for each in state["contacts"]] == [(1, ["A", "B"])]
    assert state["contacts"][0]["fields"] == {"CustomField3": "x"}
    assert (scene.requests(), scene.control("faults", method="GET")["faults"]) == ([], [])
    assert state["quota"]["used"] == 0


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"people": []}, "people"),
        ({"contacts": {}}, "contacts"),
        ({"contacts": ["ada"]}, "objects"),
        ({"contacts": [{"lists": []}]}, "email"),
        ({"contacts": [{"email": "ada"}]}, "email"),
        ({"contacts": [{"email": "ada@example.com", "shoe_size": "7"}]}, "shoe_size"),
        ({"contacts": [{"email": "ada@example.com", "lists": "News"}]}, "lists"),
        ({"contacts": [{"email": "ada@example.com", "status": "Gone"}]}, "status"),
        ({"contacts": [{"email": "ada@example.com", "status": "Active"}]}, "list"),
        ({"contacts": [{"email": "a@example.com", "status": "Do Not Mail", "lists": ["N"]}]}, "list"),
        ({"contacts": [{"email": "a@example.com"}, {"email": "A@example.com"}]}, "belongs"),
        ({"lists": [7]}, "lists"),
        ([], "object"),
    ],
)
def test_a_wrong_reset_is_a_400_with_a_sentence_and_changes_nothing(scene: Caller, given: object, word: str) -> None:
    before = scene.state()["contacts"]
    assert word in refused(scene, "reset", given)
    assert scene.state()["contacts"] == before


def test_the_log_has_what_was_sent_but_no_secret(scene: Caller) -> None:
    started = time.monotonic()
    scene.put(1, lists=[2])
    scene.get("contacts?email=ada%40example.com")
    put, search = scene.requests()
    assert (put["method"], put["path"], put["status"]) == ("PUT", "/ws/customers/acme/contacts/1", 204)
    assert "ada@example.com" in put["body"]
    assert started <= put["time"] <= search["time"] <= time.monotonic()
    assert search["path"].endswith("?email=ada%40example.com")
    assert "authorization" not in {name.lower() for name in put["headers"]}
    assert put["headers"]["content-type"] == "application/atom+xml"
    scene.control("requests", method="DELETE")
    assert scene.requests() == []


def test_unsubscribing_is_for_good(scene: Caller) -> None:
    person = act(scene, "unsubscribe")
    assert (person["status"], person["lists"]) == ("Do Not Mail", [])
    assert person["opt_out"]["source"] == CONTACT  # type: ignore[index]
    assert scene.put(1, lists=[1]).status_code == 403


def test_leaving_the_last_list_is_no_opt_out(scene: Caller) -> None:
    act(scene, "join", list="News")
    assert act(scene, "leave", list="Free members")["status"] == "Active"
    person = act(scene, "leave", list="News")
    assert (person["status"], person["opt_out"]) == ("Removed", None)


def test_joining_is_the_contacts_own_act_and_undoes_an_opt_out(scene: Caller) -> None:
    person = act(scene, "join", DORA, list="News")
    assert (person["status"], person["sources"]) == ("Active", {"News": CONTACT})
    assert act(scene, "join", "new@example.com", list="News")["status"] == "Active"


def test_confirming_makes_active(scene: Caller) -> None:
    assert act(scene, "confirm", "una@example.com")["status"] == "Active"


def test_the_owner_adds_removes_edits_creates_and_deletes(scene: Caller) -> None:
    assert act(scene, "add", list="News")["sources"] == {"Free members": CUSTOMER, "News": CUSTOMER}
    assert act(scene, "remove", list="Free members")["lists"] == ["News"]
    assert act(scene, "edit", first_name="Augusta")["fields"] == {"FirstName": "Augusta", "LastName": "Byron"}
    assert act(scene, "edit", to="augusta@example.com")["id"] == 1
    assert act(scene, "delete", "augusta@example.com")["status"] == "Removed"
    assert act(scene, "create", "new@example.com", lists=["Fresh"], city="Bonn")["lists"] == ["Fresh"]
    assert scene.post(address="augusta@example.com").status_code == 409


def test_the_owner_cannot_bring_back_who_opted_out(scene: Caller) -> None:
    assert "opted out" in refused(scene, "act", {"do": "add", "email": DORA, "list": "News"})
    assert scene.person(DORA)["lists"] == []


def test_the_owner_makes_renames_and_drops_lists(scene: Caller) -> None:
    scene.control("act", {"do": "create_list", "list": "Gala"})
    scene.control("act", {"do": "rename_list", "list": "News", "to": "Letters"})
    scene.control("act", {"do": "delete_list", "list": "Free members"})
    assert [each["name"] for each in scene.state()["lists"]] == ["Sustainers", "Letters", "Gala"]
    assert scene.person()["status"] == "Removed"


def test_acts_move_the_update_time(scene: Caller) -> None:
    before = scene.person()["updated"]
    scene.control("clock", {"advance": 2})
    assert str(act(scene, "join", list="News")["updated"]) > before


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "act"),
        ({"do": "dance", "email": "ada@example.com"}, "act"),
        ({"do": "unsubscribe"}, "email"),
        ({"do": "unsubscribe", "email": "nobody@example.com"}, "contact"),
        ({"do": "leave", "email": "ada@example.com"}, "list"),
        ({"do": "leave", "email": "ada@example.com", "list": "Nowhere"}, "list"),
        ({"do": "edit", "email": "ada@example.com", "to": DORA}, "belongs"),
        ({"do": "edit", "email": "ada@example.com", "first_name": 7}, "first_name"),
        ({"do": ["x"]}, "act"),
    ],
)
def test_a_wrong_act_is_a_400_with_a_sentence(scene: Caller, given: object, word: str) -> None:
    assert word in refused(scene, "act", given)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"kind": "flood"}, "kind"),
        ({}, "kind"),
        ({"kind": "status", "status": 99}, "status"),
        ({"kind": "status", "times": 0}, "times"),
        ({"kind": "status", "rate": 2}, "rate"),
        ({"kind": "timeout", "seconds": 1e9}, "seconds"),
        ({"kind": "huge", "size": 1e12}, "size"),
        ({"kind": "status", "apply": "yes"}, "apply"),
        ({"kind": "status", "headers": {"X": "a\r\nb"}}, "headers"),
        ({"kind": "status", "headers": []}, "headers"),
        ({"kind": "status", "seed": "x"}, "seed"),
        ({"kind": "status", "colour": 1}, "colour"),
        (["x"], "object"),
    ],
)
def test_a_wrong_fault_is_a_400_with_a_sentence(api: Caller, given: object, word: str) -> None:
    assert word in refused(api, "faults", given)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"email_mis": "empty"}, "'email_miss'"),
        ({"email_miss": "maybe"}, "empty, error"),
        ({"rate_limit": "maybe"}, "true or false"),
        ({"page_size": 0}, "from 1"),
        ({"page_size": "x"}, "whole number"),
        ({"page_size": True}, "whole number"),
    ],
)
def test_a_wrong_switch_is_a_400_and_moves_nothing(api: Caller, given: dict[str, object], word: str) -> None:
    assert word in refused(api, "switches", {"lone_name": "comma", **given})
    assert api.control("switches", method="GET")["lone_name"] == "plain"


def test_the_clock_goes_forward_only(api: Caller) -> None:
    before = api.control("clock", method="GET")["clock"]
    assert api.control("clock", {"advance": 86400})["clock"] > before
    for given in ({"advance": -1}, {"advance": "x"}, {}, {"advance": 1e300}, {"advance": True}):
        assert refused(api, "clock", given)


@pytest.mark.parametrize("body", [b"junk", b"[" * 100_000, b'"x"', b"\xff"])
def test_a_body_that_is_no_json_object_is_a_400(api: Caller, body: bytes) -> None:
    answer = requests.post(f"{api.running.url}/_sandbox/act", data=body, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_unknown_controls_and_methods_are_told_so(api: Caller) -> None:
    assert requests.get(f"{api.running.url}/_sandbox/nothing", timeout=5).status_code == 404
    answer = requests.put(f"{api.running.url}/_sandbox/faults", timeout=5)
    assert (answer.status_code, "DELETE" in answer.text) == (405, True)


def test_controls_are_not_logged(api: Caller) -> None:
    api.state()
    assert api.requests() == []
