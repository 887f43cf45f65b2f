"""One contact on v3: creation, replacement, soft deletion, opt-out, sign-up and invitation (v3 sheet §2)."""

from __future__ import annotations

import pytest

from tests.sandbox.v3_caller import NOBODY, V3, email, words

ADA = "ada@example.com"


def test_a_created_contact_reads_back_as_it_was_sent(v3: V3) -> None:
    news = v3.list_id()
    field = v3.send("POST", "/contact_custom_fields", {"label": "Member No", "type": "string"}).json()
    tag = v3.send("POST", "/contact_tags", {"name": "vip"}).json()["tag_id"]
    answer = v3.create(
        first_name="Ada",
        last_name="Byron",
        job_title="Countess",
        company_name="Engines",
        birthday_month=12,
        birthday_day=10,
        anniversary="7/8/1835",
        list_memberships=[news],
        taggings=[tag],
        phone_numbers=[{"kind": "home", "phone_number": "1"}, {"kind": "mobile", "phone_number": "2"}],
        street_addresses=[{"kind": "home", "street": "1 Lane", "city": "London", "postal_code": "W1"}],
        custom_fields=[{"custom_field_id": field["custom_field_id"], "value": "A1"}],
        notes=[{"content": "likes numbers"}],
    )
    assert answer.status_code == 201
    ada = v3.one(answer.json()["contact_id"])
    assert ada == answer.json()
    assert [ada[name] for name in ("first_name", "last_name", "job_title", "company_name")] == [
        "Ada",
        "Byron",
        "Countess",
        "Engines",
    ]
    assert (ada["birthday_month"], ada["birthday_day"], ada["anniversary"]) == (12, 10, "7/8/1835")
    assert (ada["list_memberships"], ada["taggings"]) == ([news], [tag])
    assert {each["kind"]: each["phone_number"] for each in ada["phone_numbers"]} == {"home": "1", "mobile": "2"}
    assert [(each["street"], each["city"], each["postal_code"]) for each in ada["street_addresses"]] == [
        ("1 Lane", "London", "W1")
    ]
    assert ada["custom_fields"] == [{"custom_field_id": field["custom_field_id"], "value": "A1"}]
    assert [each["content"] for each in ada["notes"]] == ["likes numbers"]
    mail = ada["email_address"]
    assert (mail["address"], mail["permission_to_send"], mail["confirm_status"]) == (ADA, "implicit", "off")
    assert (mail["opt_in_source"], ada["create_source"]) == ("Account", "Account")
    assert ada["created_at"].endswith("Z")
    assert not {"status", "deleted_at", "sms_channel"} & set(ada)
    assert "opt_out_date" not in mail


def test_sub_resources_come_only_when_asked_for(v3: V3) -> None:
    uuid = v3.made(list_memberships=[v3.list_id()])
    assert not {"list_memberships", "taggings", "notes"} & set(v3.read(f"/contacts/{uuid}"))
    assert set(v3.read(f"/contacts/{uuid}", include="taggings")) >= {"taggings"}
    assert v3.get(f"/contacts/{uuid}", include="friends").status_code == 400


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"email_address": email()}, "create_source is missing"),
        ({"create_source": "Robot", "email_address": email()}, "create_source"),
        ({"create_source": "Account"}, "One of"),
        ({"create_source": "Account", "company_name": "Engines"}, "One of"),
        ({"create_source": "Account", "email_address": email("ada")}, "Email address is invalid"),
        ({"create_source": "Account", "email_address": email("a" * 80 + "@example.com")}, "80"),
        ({"create_source": "Account", "email_address": ADA}, "email_address"),
        ({"create_source": "Account", "email_address": {"permission_to_send": "implicit"}}, "address is missing"),
        ({"create_source": "Account", "email_address": email(permission="maybe")}, "permission_to_send"),
        ({"create_source": "Account", "email_address": email(permission="temp_hold")}, "permission"),
        ({"create_source": "Account", "first_name": 7}, "first_name"),
        ({"create_source": "Account", "first_name": "x" * 51}, "50"),
        ({"create_source": "Account", "first_name": "\ud800"}, "first_name"),
        ({"create_source": "Account", "first_name": "Ada", "birthday_month": 2}, "birthday"),
        ({"create_source": "Account", "first_name": "Ada", "birthday_month": True, "birthday_day": True}, "birthday"),
        ({"create_source": "Account", "first_name": "Ada", "anniversary": "yesterday"}, "anniversary"),
        ({"create_source": "Account", "first_name": "Ada", "list_memberships": "news"}, "list_memberships"),
        ({"create_source": "Account", "first_name": "Ada", "list_memberships": [7]}, "list_memberships"),
        ({"create_source": "Account", "first_name": "Ada", "list_memberships": [NOBODY]}, "list_memberships"),
        ({"create_source": "Account", "first_name": "Ada", "taggings": [NOBODY]}, "taggings"),
        (
            {
                "create_source": "Account",
                "first_name": "A",
                "custom_fields": [{"custom_field_id": NOBODY, "value": "x"}],
            },
            "custom_field_id",
        ),
        ({"create_source": "Account", "first_name": "A", "custom_fields": [{"value": "x"}]}, "custom_field_id"),
        ({"create_source": "Account", "first_name": "A", "phone_numbers": [{"kind": "fax"}]}, "kind"),
        ({"create_source": "Account", "first_name": "A", "phone_numbers": [{"kind": "home"}] * 4}, "phone_numbers"),
        ({"create_source": "Account", "first_name": "A", "street_addresses": [{"city": "Bonn"}]}, "kind"),
        ({"create_source": "Account", "first_name": "A", "street_addresses": ["Bonn"]}, "street_addresses"),
        ({"create_source": "Account", "first_name": "A", "sms_channel": {"full_sms_address": "x"}}, "sms_address"),
    ],
)
def test_a_wrong_contact_is_a_400_that_says_what_is_wrong(v3: V3, document: dict[str, object], word: str) -> None:
    answer = v3.send("POST", "/contacts", document)
    assert answer.status_code == 400
    assert word in words(answer)
    assert v3.read("/contacts", status="all")["contacts"] == []


def test_all_that_is_wrong_is_told_at_once(v3: V3) -> None:
    answer = v3.send("POST", "/contacts", {"first_name": 7, "anniversary": "x"})
    assert {"create_source", "first_name", "anniversary"} <= set(words(answer).replace(",", " ").split())


def test_unknown_members_are_ignored(v3: V3) -> None:
    assert v3.create(shoe_size=7, status="active").status_code == 201


@pytest.mark.parametrize("state", ["active", "unsubscribed", "deleted"])
def test_an_address_is_taken_in_every_state_and_the_409_names_the_contact(v3: V3, state: str) -> None:
    uuid = v3.made()
    if state == "unsubscribed":
        v3.act("unsubscribe")
    if state == "deleted":
        v3.send("DELETE", f"/contacts/{uuid}")
    answer = v3.create("ADA@example.com")
    assert (answer.status_code, answer.json()[0]["error_key"]) == (409, "contacts.api.conflict")
    assert words(answer) == f"Validation failed: Email already exists for contact {uuid}"


def test_a_put_empties_the_core_that_it_leaves_out_and_keeps_the_sub_resources(v3: V3) -> None:
    news = v3.list_id()
    uuid = v3.made(first_name="Ada", job_title="Countess", anniversary="1835-07-08", list_memberships=[news])
    answer = v3.put(uuid, last_name="King")
    assert answer.status_code == 200
    ada = v3.one(uuid)
    assert answer.json() == ada
    assert (ada["last_name"], ada["list_memberships"]) == ("King", [news])
    assert not {"first_name", "job_title", "anniversary"} & set(ada)


def test_a_sent_collection_takes_the_place_of_the_old_one(v3: V3) -> None:
    uuid = v3.made(
        list_memberships=[v3.list_id("News")],
        phone_numbers=[{"kind": "home", "phone_number": "1"}, {"kind": "work", "phone_number": "2"}],
    )
    v3.put(uuid, list_memberships=[v3.list_id("Sustainers")], phone_numbers=[{"kind": "other", "phone_number": "3"}])
    ada = v3.one(uuid)
    assert ada["list_memberships"] == [v3.list_id("Sustainers")]
    assert [(each["kind"], each["phone_number"]) for each in ada["phone_numbers"]] == [("other", "3")]


def test_what_a_get_returns_can_be_put_back_and_changes_nothing(v3: V3) -> None:
    uuid = v3.made(first_name="Ada", list_memberships=[v3.list_id()], notes=[{"content": "n"}])
    before = v3.one(uuid)
    assert v3.send("PUT", f"/contacts/{uuid}", before).status_code == 200
    after = v3.one(uuid)
    assert {**after, "updated_at": "", "email_address": ""} == {**before, "updated_at": "", "email_address": ""}


def test_a_put_needs_its_source_and_a_free_address(v3: V3) -> None:
    uuid = v3.made()
    v3.made("bo@example.com")
    assert "update_source" in words(v3.send("PUT", f"/contacts/{uuid}", {"email_address": email()}))
    assert v3.put(uuid, email_address=email("BO@example.com")).status_code == 409
    assert v3.put(uuid, email_address=email("cy@example.com")).status_code == 200
    assert v3.create(ADA).status_code == 201


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_bad_id_is_400_and_an_unknown_one_404(v3: V3, method: str) -> None:
    body = {"update_source": "Account", "first_name": "A"} if method == "PUT" else None
    assert v3.send(method, "/contacts/7", body).status_code == 400
    answer = v3.send(method, f"/contacts/{NOBODY}", body)
    assert (answer.status_code, answer.json()[0]["error_key"]) == (404, "contacts.api.not_found")


def test_deletion_is_soft_and_keeps_the_permission(v3: V3) -> None:
    uuid = v3.made(permission="explicit", list_memberships=[v3.list_id()])
    answer = v3.send("DELETE", f"/contacts/{uuid}")
    assert (answer.status_code, answer.content) == (204, b"")
    gone = v3.one(uuid)
    assert (len(gone["deleted_at"]), gone["list_memberships"]) == (10, [])
    assert gone["email_address"]["permission_to_send"] == "explicit"
    assert v3.send("DELETE", f"/contacts/{uuid}").status_code == 204


def test_a_deleted_contact_is_revived_by_the_account_with_a_list_only(v3: V3) -> None:
    uuid, news = v3.made(), v3.list_id()
    v3.send("DELETE", f"/contacts/{uuid}")
    assert v3.put(uuid).status_code == 400
    assert v3.put(uuid, list_memberships=[]).status_code == 400
    assert v3.put(uuid, "Contact", list_memberships=[news]).status_code == 400
    assert v3.put(uuid, list_memberships=[news]).status_code == 200
    assert "deleted_at" not in v3.one(uuid)
    assert v3.one(uuid)["list_memberships"] == [news]


def test_deleting_and_reviving_does_not_resubscribe(v3: V3) -> None:
    uuid = v3.made()
    v3.act("unsubscribe")
    v3.send("DELETE", f"/contacts/{uuid}")
    v3.put(uuid, email_address=email(permission="unsubscribed"), list_memberships=[v3.list_id()])
    assert v3.one(uuid)["email_address"]["permission_to_send"] == "unsubscribed"
    assert "deleted_at" not in v3.one(uuid)


@pytest.mark.parametrize("source", ["Contact", "Account"])
def test_an_opt_out_notes_who_asked_and_why(v3: V3, source: str) -> None:
    uuid = v3.made(list_memberships=[v3.list_id()])
    v3.put(uuid, source, email_address=email(permission="unsubscribed", opt_out_reason="too many"))
    mail = v3.one(uuid)["email_address"]
    assert (mail["permission_to_send"], mail["opt_out_source"], mail["opt_out_reason"]) == (
        "unsubscribed",
        source,
        "too many",
    )
    assert mail["opt_out_date"].endswith("Z")


def test_an_opt_out_by_the_contact_is_not_weakened_by_the_account(v3: V3) -> None:
    uuid = v3.made()
    v3.put(uuid, "Account", email_address=email(permission="unsubscribed"))
    v3.put(uuid, "Contact", email_address=email(permission="unsubscribed"))
    v3.put(uuid, "Account", email_address=email(permission="unsubscribed"))
    assert v3.one(uuid)["email_address"]["opt_out_source"] == "Contact"
    assert v3.put(uuid, "Account", email_address=email(permission="explicit")).status_code == 400


def test_the_account_may_undo_its_own_opt_out_and_the_contact_any(v3: V3) -> None:
    uuid, news = v3.made(), v3.list_id()
    v3.put(uuid, "Account", email_address=email(permission="unsubscribed"))
    assert v3.put(uuid, "Account", email_address=email(), list_memberships=[news]).status_code == 200
    v3.act("unsubscribe")
    again = v3.put(uuid, "Contact", email_address=email(permission="explicit"), list_memberships=[news])
    assert again.status_code == 200
    mail = v3.one(uuid)["email_address"]
    assert (mail["permission_to_send"], mail["opt_in_source"], "opt_out_date" in mail) == ("explicit", "Contact", False)
    assert v3.one(uuid)["list_memberships"] == [news]


def test_details_of_an_opted_out_contact_may_be_written_and_lists_do_not_take(v3: V3) -> None:
    uuid = v3.made()
    v3.act("unsubscribe")
    answer = v3.put(
        uuid, email_address=email(permission="unsubscribed"), first_name="Ada", list_memberships=[v3.list_id()]
    )
    assert answer.status_code == 200
    assert (answer.json()["first_name"], answer.json()["list_memberships"]) == ("Ada", [])


def test_confirmed_opt_in_makes_new_ones_wait_for_their_click(v3: V3) -> None:
    v3.switch(confirmed_optin=True)
    uuid = v3.made(list_memberships=[v3.list_id()])
    mail = v3.one(uuid)["email_address"]
    assert (mail["permission_to_send"], mail["confirm_status"]) == ("pending_confirmation", "pending")
    v3.put(uuid, email_address=email(permission="explicit"))
    assert v3.one(uuid)["email_address"]["permission_to_send"] == "pending_confirmation"
    v3.act("confirm")
    mail = v3.one(uuid)["email_address"]
    assert (mail["permission_to_send"], mail["confirm_status"]) == ("explicit", "confirmed")


def test_a_contact_that_is_only_texted_has_no_address(v3: V3) -> None:
    consent = {"sms_consent_permission": "explicit", "consent_type": "promotional_sms"}
    uuid = v3.made(None, sms_channel={"full_sms_address": "17815550100", "sms_channel_consents": [consent]})
    found = v3.one(uuid)
    assert "email_address" not in found
    assert found["sms_channel"]["sms_address"] == "17815550100"
    assert found["sms_channel"]["sms_channel_consents"][0]["sms_consent_permission"] == "explicit"
    named = v3.made(None, first_name="Bo")
    assert {each["contact_id"] for each in v3.read("/contacts")["contacts"]} == {uuid, named}
    page = v3.session.get(v3.running.url + "/", timeout=5)
    assert (page.status_code, "+17815550100" in page.text) == (200, True)


def test_a_custom_date_must_be_a_date(v3: V3) -> None:
    field = v3.send("POST", "/contact_custom_fields", {"label": "Joined", "type": "date"}).json()["custom_field_id"]
    values = [{"custom_field_id": field, "value": "soon"}]
    assert v3.create(custom_fields=values).status_code == 400
    values[0]["value"] = "11/22/2026"
    assert v3.create(custom_fields=values).status_code == 201


# Sign-up


def sign_up(v3: V3, address: str = ADA, **more: object) -> dict[str, object]:
    lists = [v3.list_id()]
    answer = v3.send("POST", "/contacts/sign_up_form", {"email_address": address, "list_memberships": lists, **more})
    found: dict[str, object] = answer.json()
    assert (answer.status_code, found["action"]) in ((201, "created"), (200, "updated"))
    return found


def test_a_sign_up_creates_an_explicit_contact_of_its_own(v3: V3) -> None:
    found = sign_up(v3, first_name="Ada", phone_number="7", street_address={"kind": "work", "city": "Bonn"})
    assert found["action"] == "created"
    ada = v3.one(str(found["contact_id"]))
    mail = ada["email_address"]
    assert (mail["permission_to_send"], mail["opt_in_source"]) == ("explicit", "Contact")
    assert [each["city"] for each in ada["street_addresses"]] == ["Bonn"]


def test_a_sign_up_adds_and_never_removes(v3: V3) -> None:
    uuid = v3.made(first_name="Ada", list_memberships=[v3.list_id("Sustainers")])
    found = sign_up(v3, "ADA@example.com", last_name="Byron")
    assert found == {"contact_id": uuid, "action": "updated"}
    ada = v3.one(uuid)
    assert (ada["first_name"], ada["last_name"]) == ("Ada", "Byron")
    assert set(ada["list_memberships"]) == {v3.list_id("Sustainers"), v3.list_id("News")}


def test_a_sign_up_flips_an_opt_out_and_revives(v3: V3) -> None:
    uuid = v3.made()
    v3.act("unsubscribe")
    v3.send("DELETE", f"/contacts/{uuid}")
    sign_up(v3)
    ada = v3.one(uuid)
    assert ada["email_address"]["permission_to_send"] == "explicit"
    assert "deleted_at" not in ada
    assert ada["list_memberships"] == [v3.list_id()]


def test_a_sign_up_waits_where_opt_ins_are_confirmed_but_only_a_new_one(v3: V3) -> None:
    uuid = v3.made("old@example.com")
    v3.switch(confirmed_optin=True)
    new = sign_up(v3)["contact_id"]
    sign_up(v3, "old@example.com")
    assert v3.one(str(new))["email_address"]["permission_to_send"] == "pending_confirmation"
    assert v3.one(uuid)["email_address"]["permission_to_send"] == "explicit"


@pytest.mark.parametrize(
    "change",
    [
        {"email_address": None},
        {"email_address": email()},
        {"email_address": "a" * 45 + "@example.com"},
        {"list_memberships": []},
        {"list_memberships": None},
        {"list_memberships": [NOBODY] * 51},
        {"first_name": ""},
        {"last_name": "  "},
        {"street_address": {"city": "Bonn"}},
    ],
)
def test_a_wrong_sign_up_is_a_400(v3: V3, change: dict[str, object]) -> None:
    document = {"email_address": ADA, "list_memberships": [v3.list_id()], **change}
    assert v3.send("POST", "/contacts/sign_up_form", document).status_code == 400


def test_nobody_is_on_more_than_fifty_lists(v3: V3) -> None:
    lists = [v3.send("POST", "/contact_lists", {"name": f"L{n}"}).json()["list_id"] for n in range(50)]
    uuid = v3.made(list_memberships=lists)
    document = {"email_address": ADA, "list_memberships": [v3.list_id()]}
    assert v3.send("POST", "/contacts/sign_up_form", document).status_code == 400
    assert v3.put(uuid, list_memberships=[*lists, v3.list_id()]).status_code == 400


# Resubscribing


def test_an_invitation_changes_nothing_until_it_is_confirmed(v3: V3) -> None:
    uuid, news = v3.made(), v3.list_id()
    v3.act("unsubscribe")
    answer = v3.send("PUT", f"/contacts/resubscribe/{uuid}", {"list_ids": [news]})
    assert answer.status_code == 200
    assert v3.one(uuid)["email_address"]["permission_to_send"] == "unsubscribed"
    v3.act("confirm")
    ada = v3.one(uuid)
    assert (ada["email_address"]["permission_to_send"], ada["list_memberships"]) == ("explicit", [news])


def test_a_contact_is_invited_once_ever(v3: V3) -> None:
    uuid, body = v3.made(), {"list_ids": [v3.list_id()]}
    path = f"/contacts/resubscribe/{uuid}"
    assert v3.send("PUT", path, body).status_code == 400
    v3.act("unsubscribe")
    assert v3.send("PUT", path, {}).status_code == 400
    assert v3.send("PUT", path, body).status_code == 200
    v3.act("confirm")
    v3.act("unsubscribe")
    assert v3.send("PUT", path, body).status_code == 400
    assert v3.act("confirm")["permission"] == "unsubscribed"


def test_the_numbers_are_counted_by_permission(v3: V3) -> None:
    v3.made(permission="explicit")
    v3.made("bo@example.com")
    v3.made("cy@example.com")
    v3.act("unsubscribe", "cy@example.com")
    gone = v3.made("di@example.com")
    v3.send("DELETE", f"/contacts/{gone}")
    expected = {"total": 3, "explicit": 1, "implicit": 1, "pending": 0, "unsubscribed": 1}
    assert v3.read("/contacts/counts") == expected
    assert v3.read("/contacts/counts", include="new_subscriber") == {**expected, "new_subscriber": 0}


def test_the_numbers_of_v1_lead_to_the_ids_of_v3(v3: V3) -> None:
    uuids = [v3.made(), v3.made("bo@example.com")]
    found = v3.read("/contacts/contact_id_xrefs", sequence_ids="2,9,1")["xrefs"]
    assert [(int(each["sequence_id"]), each["contact_id"]) for each in found] == [(1, uuids[0]), (2, uuids[1])]
    assert v3.get("/contacts/contact_id_xrefs").status_code == 400
    assert v3.get("/contacts/contact_id_xrefs", sequence_ids="x").status_code == 400
    assert v3.get("/contacts/contact_id_xrefs", sequence_ids=",".join(["1"] * 501)).status_code == 400
