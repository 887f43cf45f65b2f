"""Bulk activities on v3: what they do, when, and how little they tell (v3 sheet §4)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.sandbox.v3_caller import NOBODY, V3


def members(v3: V3, name: str = "News") -> list[str]:
    return [each.partition("@")[0] for each in v3.addresses(lists=v3.list_id(name), status="all")]


def test_contacts_are_added_to_lists(v3: V3) -> None:
    ids = [v3.made(), v3.made("bo@example.com", list_memberships=[v3.list_id("Sustainers")])]
    done = v3.activity("add_list_memberships", {"source": {"contact_ids": ids}, "list_ids": [v3.list_id()]})
    assert (done["state"], done["percent_done"], done["activity_errors"]) == ("completed", 100, [])
    assert done["status"] == {"items_total_count": 2, "items_completed_count": 2, "list_count": 1}
    assert done["_links"]["self"]["href"] == f"/v3/activities/{done['activity_id']}"
    assert members(v3) == ["ada", "bo"]
    assert members(v3, "Sustainers") == ["bo"]


def test_contacts_are_taken_off_lists_and_stay_contacts(v3: V3) -> None:
    uuid = v3.made(list_memberships=[v3.list_id(), v3.list_id("Sustainers")])
    both = [v3.list_id(), v3.list_id("Sustainers")]
    v3.activity("remove_list_memberships", {"source": {"contact_ids": [uuid]}, "list_ids": both})
    assert (v3.one(uuid)["list_memberships"], "deleted_at" in v3.one(uuid)) == ([], False)
    assert v3.addresses(status="active") == ["ada@example.com"]


def test_members_of_a_list_are_moved_but_for_the_excluded(v3: V3) -> None:
    v3.made(list_memberships=[v3.list_id("Sustainers")])
    out = v3.made("out@example.com", list_memberships=[v3.list_id("Sustainers")])
    v3.made("other@example.com")
    source = {"list_ids": [v3.list_id("Sustainers")]}
    v3.activity(
        "add_list_memberships", {"source": source, "exclude": {"contact_ids": [out]}, "list_ids": [v3.list_id()]}
    )
    assert members(v3) == ["ada"]


def test_all_active_contacts_are_those_that_can_be_mailed(v3: V3) -> None:
    v3.made()
    v3.made("gone@example.com")
    v3.act("unsubscribe", "gone@example.com")
    v3.send("DELETE", f"/contacts/{v3.made('deleted@example.com')}")
    v3.activity("add_list_memberships", {"source": {"all_active_contacts": True}, "list_ids": [v3.list_id()]})
    assert members(v3) == ["ada"]


def test_tagged_contacts_are_a_source(v3: V3) -> None:
    tag = v3.send("POST", "/contact_tags", {"name": "vip"}).json()["tag_id"]
    v3.made(taggings=[tag])
    v3.made("bo@example.com")
    v3.activity("add_list_memberships", {"source": {"tag_ids": [tag]}, "list_ids": [v3.list_id()]})
    assert members(v3) == ["ada"]


def test_unknown_contacts_are_skipped_and_told_of(v3: V3) -> None:
    ids = [NOBODY, v3.made()]
    done = v3.activity("add_list_memberships", {"source": {"contact_ids": ids}, "list_ids": [v3.list_id()]})
    assert (done["state"], len(done["activity_errors"])) == ("completed", 1)
    assert done["status"]["items_completed_count"] == 1
    assert members(v3) == ["ada"]


@pytest.mark.parametrize("name", ["add_list_memberships", "remove_list_memberships"])
def test_a_wrong_membership_request_is_a_400(v3: V3, name: str) -> None:
    uuid, news = v3.made(), v3.list_id()
    good = {"source": {"contact_ids": [uuid]}, "list_ids": [news]}
    wrong: list[dict[str, object]] = [
        {},
        {**good, "list_ids": []},
        {**good, "list_ids": [NOBODY]},
        {**good, "list_ids": "news"},
        {**good, "source": []},
        {**good, "source": {}},
        {**good, "source": {"contact_ids": [uuid], "list_ids": [news]}},
        {**good, "source": {"contact_ids": [uuid] * 501}},
        {**good, "source": {"contact_ids": ["7"]}},
        {**good, "source": {"contact_ids": []}},
        {**good, "source": {"all_active_contacts": "yes"}},
        {**good, "source": {"all_active_contacts": False}},
        {**good, "exclude": {"contact_ids": [uuid]}},
    ]
    answers = [v3.send("POST", f"/activities/{name}", document).status_code for document in wrong]
    assert answers == [400] * len(wrong)
    assert v3.read("/activities")["activities"] == []


def test_an_activity_waits_works_and_is_done(v3: V3) -> None:
    v3.switch(activity_delay=10)
    uuid = v3.made()
    body = {"source": {"contact_ids": [uuid]}, "list_ids": [v3.list_id()]}
    answer = v3.send("POST", "/activities/add_list_memberships", body)
    path = f"/activities/{answer.json()['activity_id']}"
    assert (answer.status_code, answer.json()["state"]) == (201, "initialized")
    assert (v3.read(path)["state"], members(v3)) == ("initialized", [])
    v3.wait(5)
    assert (v3.read(path)["state"], members(v3)) == ("processing", [])
    v3.wait(5)
    done = v3.read(path)
    assert (done["state"], members(v3)) == ("completed", ["ada"])
    assert done["created_at"] < done["completed_at"]


def test_what_is_due_is_done_even_if_only_the_state_is_looked_at(v3: V3) -> None:
    v3.switch(activity_delay=10)
    body = {"source": {"contact_ids": [v3.made()]}, "list_ids": [v3.list_id()]}
    v3.send("POST", "/activities/add_list_memberships", body)
    v3.wait(10)
    assert v3.control("state", method="GET")["contacts"][0]["lists"] == ["News"]


def test_activities_are_listed_filtered_and_forgotten_after_ten_days(v3: V3) -> None:
    body = {"source": {"contact_ids": [v3.made()]}, "list_ids": [v3.list_id()]}
    ids = [v3.send("POST", "/activities/add_list_memberships", body).json()["activity_id"] for _ in range(3)]
    first = v3.read("/activities", limit=2)
    rest = v3.session.get(v3.running.url + first["_links"]["next"]["href"], timeout=5).json()
    assert [each["activity_id"] for each in first["activities"] + rest["activities"]] == ids
    assert v3.read("/activities", state="failed")["activities"] == []
    assert v3.get("/activities", state="odd").status_code == 400
    v3.wait(10 * 86400 + 1)
    assert v3.get(f"/activities/{ids[0]}").status_code == 404


def test_activity_ids_are_checked(v3: V3) -> None:
    assert v3.get("/activities/7").status_code == 400
    assert v3.get(f"/activities/{NOBODY}").status_code == 404


def test_a_full_queue_is_a_429_until_the_work_is_done(v3: V3) -> None:
    v3.switch(activity_queue=2, activity_delay=10)
    body = {"source": {"contact_ids": [v3.made()]}, "list_ids": [v3.list_id()]}
    codes = [v3.send("POST", "/activities/add_list_memberships", body).status_code for _ in range(3)]
    assert codes == [201, 201, 429]
    v3.wait(10)
    assert v3.send("POST", "/activities/add_list_memberships", body).status_code == 201


def test_contacts_are_deleted_by_id_or_by_list(v3: V3) -> None:
    first = v3.made()
    second = v3.made("bo@example.com", list_memberships=[v3.list_id()])
    v3.activity("contact_delete", {"contact_ids": [first]})
    v3.activity("contact_delete", {"list_ids": [v3.list_id()]})
    assert all("deleted_at" in v3.one(uuid) for uuid in (first, second))
    both = {"contact_ids": [first], "list_ids": [v3.list_id()]}
    assert v3.send("POST", "/activities/contact_delete", both).status_code == 400
    assert v3.send("POST", "/activities/contact_delete", {}).status_code == 400


# Imports


def imported(v3: V3, *rows: Mapping[str, object], **more: object) -> dict[str, int]:
    document = {"import_data": list(rows), "list_ids": [v3.list_id()], **more}
    found: dict[str, int] = v3.activity("contacts_json_import", document)["status"]
    return found


def test_an_import_makes_contacts_of_rows(v3: V3) -> None:
    field = v3.send("POST", "/contact_custom_fields", {"label": "Member No", "type": "string"}).json()
    row = {
        "email": "Ada@example.com",
        "first_name": "Ada",
        "home_phone": "1",
        "phone": "2",
        "home_street": "1 Lane",
        "home_zip": "W1",
        "cf:member_no": "7",
    }
    assert imported(v3, row)["person_count"] == 1
    (found,) = v3.read("/contacts")["contacts"]
    ada = v3.one(found["contact_id"])
    assert (ada["email_address"]["permission_to_send"], ada["email_address"]["opt_in_source"]) == (
        "implicit",
        "Account",
    )
    assert {each["kind"]: each["phone_number"] for each in ada["phone_numbers"]} == {"home": "1", "other": "2"}
    assert [(each["kind"], each["street"], each["postal_code"]) for each in ada["street_addresses"]] == [
        ("home", "1 Lane", "W1")
    ]
    assert ada["custom_fields"] == [{"custom_field_id": field["custom_field_id"], "value": "7"}]
    assert ada["list_memberships"] == [v3.list_id()]


def test_an_import_updates_only_what_a_row_says_and_the_last_row_wins(v3: V3) -> None:
    uuid = v3.made(first_name="Ada", last_name="Byron", list_memberships=[v3.list_id("Sustainers")])
    imported(v3, {"email": "ADA@example.com", "last_name": "King"}, {"email": "ada@example.com", "last_name": "Noel"})
    ada = v3.one(uuid)
    assert (ada["first_name"], ada["last_name"]) == ("Ada", "Noel")
    assert set(ada["list_memberships"]) == {v3.list_id("Sustainers"), v3.list_id()}


def test_an_import_never_un_unsubscribes(v3: V3) -> None:
    uuid = v3.made()
    v3.act("unsubscribe")
    counts = imported(v3, {"email": "ada@example.com", "first_name": "Ada"})
    assert (counts["cannot_add_to_list_count"], counts["error_count"]) == (1, 0)
    ada = v3.one(uuid)
    assert (ada["email_address"]["permission_to_send"], ada["list_memberships"], ada["first_name"]) == (
        "unsubscribed",
        [],
        "Ada",
    )


def test_an_import_adds_no_list_to_the_unsubscribed_even_where_lists_survive(v3: V3) -> None:
    v3.switch(unsubscribed_keeps_lists=True)
    uuid = v3.made(list_memberships=[v3.list_id("Sustainers")])
    v3.act("unsubscribe")
    imported(v3, {"email": "ada@example.com"})
    assert v3.one(uuid)["list_memberships"] == [v3.list_id("Sustainers")]


def test_wrong_rows_are_only_counted(v3: V3) -> None:
    counts = imported(v3, {"email": "ada"}, {"first_name": "Bo"}, {"email": "cy@example.com", "cf:none": "1"})
    assert (counts["items_total_count"], counts["error_count"]) == (3, 3)
    assert v3.read("/contacts")["contacts"] == []


def test_what_is_beyond_four_megabytes_is_silently_dropped(v3: V3) -> None:
    fat = "x" * (5 * 512 * 1024)
    imported(v3, {"email": "ada@example.com", "ignored": fat}, {"email": "bo@example.com", "ignored": fat})
    assert v3.addresses() == ["ada@example.com"]


@pytest.mark.parametrize(
    "change",
    [{"import_data": None}, {"import_data": {}}, {"import_data": [7]}, {"list_ids": []}, {"list_ids": None}],
)
def test_a_wrong_import_is_a_400(v3: V3, change: dict[str, object]) -> None:
    document = {"import_data": [{"email": "ada@example.com"}], "list_ids": [v3.list_id()], **change}
    assert v3.send("POST", "/activities/contacts_json_import", document).status_code == 400
