"""Lists, custom fields and tags on v3 (v3 sheet §3, §5)."""

from __future__ import annotations

import pytest

from tests.sandbox.v3_caller import NOBODY, V3, words


def test_a_list_is_made_read_and_rewritten(v3: V3) -> None:
    answer = v3.send("POST", "/contact_lists", {"name": "Gala", "description": "d", "favorite": True})
    assert answer.status_code == 201
    gala = answer.json()
    assert (gala["name"], gala["description"], gala["favorite"]) == ("Gala", "d", True)
    uuid = gala["list_id"]
    assert v3.read(f"/contact_lists/{uuid}") == gala
    answer = v3.send("PUT", f"/contact_lists/{uuid}", {"name": "Ball"})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["favorite"], "description" in answer.json()) == ("Ball", False, False)


def test_names_of_lists_are_unique(v3: V3) -> None:
    assert v3.send("POST", "/contact_lists", {"name": "News"}).status_code == 409
    assert v3.send("PUT", f"/contact_lists/{v3.list_id()}", {"name": "Sustainers"}).status_code == 409
    assert v3.send("PUT", f"/contact_lists/{v3.list_id()}", {"name": "News", "favorite": True}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 7}, {"name": "x" * 256}, {"name": "A", "favorite": "yes"}])
def test_a_wrong_list_is_a_400(v3: V3, body: dict[str, object]) -> None:
    assert v3.send("POST", "/contact_lists", body).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_bad_list_id_is_400_and_an_unknown_one_404(v3: V3, method: str) -> None:
    body = {"name": "A"} if method == "PUT" else None
    assert v3.send(method, "/contact_lists/7", body).status_code == 400
    assert v3.send(method, f"/contact_lists/{NOBODY}", body).status_code == 404


def test_members_are_counted_only_when_asked_with_the_right_word(v3: V3) -> None:
    news = v3.list_id()
    v3.made(list_memberships=[news])
    assert "membership_count" not in v3.read(f"/contact_lists/{news}")
    assert v3.read(f"/contact_lists/{news}", include_membership_count="all")["membership_count"] == 1
    counts = v3.read("/contact_lists", include_membership_count="active")["lists"]
    assert [each["membership_count"] for each in counts] == [0, 0, 1]
    answer = v3.get("/contact_lists", include_membership_count="true")
    assert (answer.status_code, words(answer)) == (400, "include_membership_count does not have a valid value")


def test_lists_come_in_pages_with_a_count(v3: V3) -> None:
    first = v3.read("/contact_lists", limit=2, include_count="true")
    assert ([each["name"] for each in first["lists"]], first["lists_count"]) == (["Free members", "Sustainers"], 3)
    href = first["_links"]["next"]["href"]
    assert href.startswith("/v3/contact_lists?cursor=")
    rest = v3.session.get(v3.running.url + href, timeout=5).json()
    assert ([each["name"] for each in rest["lists"]], rest["_links"]) == (["News"], None)
    assert [each["name"] for each in v3.read("/contact_lists", name="News")["lists"]] == ["News"]
    assert v3.get("/contact_lists", limit=1001).status_code == 400
    assert v3.get("/contact_lists", status="odd").status_code == 400


def test_a_list_is_deleted_by_an_activity_and_its_contacts_survive(v3: V3) -> None:
    news = v3.list_id()
    uuid = v3.made(list_memberships=[news])
    v3.switch(activity_delay=10)
    answer = v3.send("DELETE", f"/contact_lists/{news}")
    assert (answer.status_code, answer.json()["state"]) == (202, "initialized")
    assert answer.headers["Location"] == f"/v3/activities/{answer.json()['activity_id']}"
    assert v3.one(uuid)["list_memberships"] == [news]
    v3.wait(10)
    assert v3.one(uuid)["list_memberships"] == []
    assert "deleted_at" not in v3.one(uuid)
    assert v3.read(f"/activities/{answer.json()['activity_id']}")["state"] == "completed"


def test_a_deleted_list_is_seen_by_its_status_and_its_name_is_free(v3: V3) -> None:
    news = v3.list_id()
    v3.send("DELETE", f"/contact_lists/{news}")
    assert [each["list_id"] for each in v3.read("/contact_lists", status="deleted")["lists"]] == [news]
    assert len(v3.read("/contact_lists")["lists"]) == 2
    assert len(v3.read("/contact_lists", status="all")["lists"]) == 3
    assert "deleted_at" in v3.read(f"/contact_lists/{news}")
    assert v3.send("DELETE", f"/contact_lists/{news}").status_code == 404
    assert v3.create(list_memberships=[news]).status_code == 400
    assert v3.send("POST", "/contact_lists", {"name": "News"}).status_code == 201


def test_deleting_a_list_twice_at_once_does_no_harm(v3: V3) -> None:
    v3.switch(activity_delay=5)
    answers = [v3.send("DELETE", f"/contact_lists/{v3.list_id()}").status_code for _ in range(2)]
    v3.wait(5)
    assert (answers, len(v3.read("/contact_lists")["lists"])) == ([202, 202], 2)


def test_the_account_has_a_thousand_lists_at_most(v3: V3) -> None:
    for number in range(997):
        v3.running.account.create_list(_draft(f"L{number}"))
    assert v3.send("POST", "/contact_lists", {"name": "One more"}).status_code == 400


def _draft(name: str):  # type: ignore[no-untyped-def]
    from django_ctct.sandbox.values import ListDraft

    return ListDraft(name)


def test_the_numbers_of_v1_lead_to_the_lists_of_v3(v3: V3) -> None:
    found = v3.read("/contact_lists/list_id_xrefs", sequence_ids="3,99")["xrefs"]
    assert [(int(each["sequence_id"]), each["list_id"]) for each in found] == [(3, v3.list_id())]


# Custom fields and tags


def define(v3: V3, label: str = "Member No", kind: str = "string") -> str:
    answer = v3.send("POST", "/contact_custom_fields", {"label": label, "type": kind})
    assert answer.status_code == 201
    return str(answer.json()["custom_field_id"])


def test_a_custom_field_gets_its_name_from_the_label(v3: V3) -> None:
    uuid = define(v3)
    found = v3.read(f"/contact_custom_fields/{uuid}")
    assert (found["label"], found["name"], found["type"]) == ("Member No", "member_no", "string")
    assert v3.read("/contact_custom_fields")["custom_fields"] == [found]


def test_a_custom_field_is_relabelled_but_keeps_its_type(v3: V3) -> None:
    uuid = define(v3)
    path = f"/contact_custom_fields/{uuid}"
    assert v3.send("PUT", path, {"label": "Number"}).json()["name"] == "number"
    assert v3.send("PUT", path, {"label": "Number", "type": "date"}).status_code == 400
    define(v3, "Other")
    assert v3.send("PUT", path, {"label": "Other"}).status_code == 409


@pytest.mark.parametrize(
    "body", [{}, {"label": "A"}, {"label": "", "type": "string"}, {"label": "A", "type": "colour"}]
)
def test_a_wrong_custom_field_is_a_400(v3: V3, body: dict[str, object]) -> None:
    assert v3.send("POST", "/contact_custom_fields", body).status_code == 400


def test_labels_are_unique_and_ids_are_checked(v3: V3) -> None:
    define(v3)
    assert v3.send("POST", "/contact_custom_fields", {"label": "member no", "type": "string"}).status_code == 409
    assert v3.get(f"/contact_custom_fields/{NOBODY}").status_code == 404
    assert v3.get("/contact_custom_fields/7").status_code == 400


def test_a_dropped_custom_field_takes_its_values_along(v3: V3) -> None:
    uuid = define(v3)
    ada = v3.made(custom_fields=[{"custom_field_id": uuid, "value": "7"}])
    assert v3.send("DELETE", f"/contact_custom_fields/{uuid}").status_code == 204
    assert v3.one(ada)["custom_fields"] == []
    assert v3.create("bo@example.com", custom_fields=[{"custom_field_id": uuid, "value": "7"}]).status_code == 400


def test_custom_fields_come_in_pages(v3: V3) -> None:
    for number in range(3):
        define(v3, f"F{number}")
    first = v3.read("/contact_custom_fields", limit=2)
    rest = v3.session.get(v3.running.url + first["_links"]["next"]["href"], timeout=5).json()
    assert [len(first["custom_fields"]), len(rest["custom_fields"]), rest["_links"]] == [2, 1, None]
    assert v3.get("/contact_custom_fields", limit=101).status_code == 400


def test_a_contact_has_twenty_five_custom_fields_at_most(v3: V3) -> None:
    values = [{"custom_field_id": define(v3, f"F{number}"), "value": "x"} for number in range(26)]
    assert v3.create(custom_fields=values).status_code == 400
    assert v3.create(custom_fields=values[:25]).status_code == 201


def test_tags_are_made_and_listed(v3: V3) -> None:
    tag = v3.send("POST", "/contact_tags", {"name": "vip"})
    assert tag.status_code == 201
    assert v3.read("/contact_tags")["tags"] == [tag.json()]
    assert v3.send("POST", "/contact_tags", {"name": "vip"}).status_code == 409
    assert v3.send("POST", "/contact_tags", {}).status_code == 400
    v3.made(taggings=[tag.json()["tag_id"]])
    v3.made("bo@example.com")
    assert v3.addresses(tags=tag.json()["tag_id"]) == ["ada@example.com"]
