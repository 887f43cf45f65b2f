"""Every switch of v3, in every position: what the sheet calls UNCONFIRMED can be had both ways."""

from __future__ import annotations

import pytest

from tests.sandbox.v3_caller import V3, email

ADA = "ada@example.com"


def permission(v3: V3, uuid: str) -> str:
    return str(v3.one(uuid)["email_address"]["permission_to_send"])


# Reading


@pytest.mark.parametrize(("position", "found"), [("non_deleted", 2), ("active", 1)])
def test_default_status(v3: V3, position: str, found: int) -> None:
    v3.switch(default_status=position)
    v3.made()
    v3.made("gone@example.com")
    v3.act("unsubscribe", "gone@example.com")
    v3.send("DELETE", f"/contacts/{v3.made('deleted@example.com')}")
    assert len(v3.addresses()) == found


@pytest.mark.parametrize(("position", "found"), [("any", 2), ("all", 1)])
def test_lists_filter(v3: V3, position: str, found: int) -> None:
    v3.switch(lists_filter=position)
    both = [v3.list_id(), v3.list_id("Sustainers")]
    v3.made(list_memberships=both)
    v3.made("bo@example.com", list_memberships=both[:1])
    assert len(v3.addresses(lists=",".join(both))) == found


@pytest.mark.parametrize(
    ("position", "shown", "found"), [("lower", ADA, 1), ("kept", "Ada@example.com", 1), ("exact", ADA, 0)]
)
def test_email_case(v3: V3, position: str, shown: str, found: int) -> None:
    v3.switch(email_case=position)
    uuid = v3.made("Ada@example.com")
    assert v3.one(uuid)["email_address"]["address"] == shown
    assert len(v3.addresses(email="Ada@example.com")) == found
    assert v3.create(ADA).status_code == 409


@pytest.mark.parametrize(("position", "status"), [("400", 400), ("ignore", 200)])
def test_cursor_extras(v3: V3, position: str, status: int) -> None:
    v3.switch(cursor_extras=position)
    v3.made()
    v3.made("bo@example.com")
    href = v3.read("/contacts", limit=1)["_links"]["next"]["href"]
    assert v3.session.get(f"{v3.running.url}{href}&limit=5", timeout=5).status_code == status


@pytest.mark.parametrize(("life", "status"), [(0, 200), (60, 400)])
def test_a_cursor_lives_as_long_as_next_token_life(v3: V3, life: int, status: int) -> None:
    v3.switch(next_token_life=life)
    v3.made()
    v3.made("bo@example.com")
    href = v3.read("/contacts", limit=1)["_links"]["next"]["href"]
    assert v3.session.get(v3.running.url + href, timeout=5).status_code == 200
    v3.wait(62)
    assert v3.session.get(v3.running.url + href, timeout=5).status_code == status


@pytest.mark.parametrize("status", [400, 404])
def test_next_token_refusal(v3: V3, status: int) -> None:
    v3.switch(next_token_life=60, next_token_refusal=str(status))
    v3.made()
    v3.made("bo@example.com")
    href = v3.read("/contacts", limit=1)["_links"]["next"]["href"]
    v3.wait(62)
    assert v3.session.get(v3.running.url + href, timeout=5).status_code == status
    assert v3.get("/contacts", cursor="x").status_code == 400


@pytest.mark.parametrize(("position", "found"), [(True, 1), (False, 0)])
def test_sms_only_listed(v3: V3, position: bool, found: int) -> None:
    v3.switch(sms_only_listed=position)
    v3.made(None, sms_channel={"full_sms_address": "17815550100"})
    assert len(v3.addresses()) == found
    assert len(v3.addresses(sms_status="all")) == 1


@pytest.mark.parametrize(("seconds", "found"), [(0, 1), (5, 0)])
def test_creation_visibility_lag(v3: V3, seconds: int, found: int) -> None:
    v3.switch(creation_visibility_lag=seconds)
    uuid = v3.made()
    assert len(v3.addresses(email=ADA, status="all")) == found
    assert v3.one(uuid)["contact_id"] == uuid
    assert v3.create().status_code == 409
    v3.wait(5)
    assert len(v3.addresses(email=ADA, status="all")) == 1


@pytest.mark.parametrize(("position", "status"), [(True, 200), (False, 404)])
def test_xrefs(v3: V3, position: bool, status: int) -> None:
    v3.switch(xrefs=position)
    assert v3.get("/contacts/contact_id_xrefs", sequence_ids=1).status_code == status
    assert v3.get("/contact_lists/list_id_xrefs", sequence_ids=1).status_code == status


@pytest.mark.parametrize(("position", "turned"), [("v1", False), ("v2", True)])
def test_xref_numbers(v3: V3, position: str, turned: bool) -> None:
    v3.switch(xref_numbers=position)
    uuids = [v3.made(), v3.made("bo@example.com")]
    found = v3.read("/contacts/contact_id_xrefs", sequence_ids="1,2")["xrefs"]
    assert [one["contact_id"] for one in found] == (uuids[::-1] if turned else uuids)


@pytest.mark.parametrize(("position", "last"), [("null", {"_links": None}), ("absent", {}), ("empty", {"_links": {}})])
def test_last_page_links(v3: V3, position: str, last: dict[str, object]) -> None:
    v3.switch(last_page_links=position)
    assert v3.read("/contacts") == {"contacts": [], **last}


# Writing


@pytest.mark.parametrize(("position", "kept"), [("keep", True), ("null", False)])
def test_put_omitted_arrays(v3: V3, position: str, kept: bool) -> None:
    v3.switch(put_omitted_arrays=position)
    uuid = v3.made(list_memberships=[v3.list_id()], phone_numbers=[{"kind": "home", "phone_number": "1"}])
    v3.put(uuid)
    ada = v3.one(uuid)
    assert (bool(ada["list_memberships"]), bool(ada["phone_numbers"])) == (kept, kept)


@pytest.mark.parametrize(
    ("position", "status", "kept"), [("null", 200, False), ("keep", 200, True), ("400", 400, True)]
)
def test_put_omitted_email(v3: V3, position: str, status: int, kept: bool) -> None:
    v3.switch(put_omitted_email=position)
    uuid = v3.made(first_name="Ada")
    assert v3.put(uuid, email_address=None, first_name="Ada").status_code == status
    assert ("email_address" in v3.one(uuid)) is kept


def test_a_put_that_leaves_nobody_behind_is_a_400(v3: V3) -> None:
    uuid = v3.made()
    assert v3.put(uuid, email_address=None).status_code == 400
    assert v3.one(uuid)["email_address"]["address"] == ADA


@pytest.mark.parametrize(("position", "after", "status"), [("reset", "implicit", 400), ("keep", "explicit", 200)])
def test_put_omitted_permission(v3: V3, position: str, after: str, status: int) -> None:
    v3.switch(put_omitted_permission=position)
    uuid = v3.made(permission="explicit")
    v3.put(uuid, email_address=email(permission=None))
    assert permission(v3, uuid) == after
    v3.act("unsubscribe")
    assert v3.put(uuid, email_address=email(permission=None)).status_code == status
    assert permission(v3, uuid) == "unsubscribed"


@pytest.mark.parametrize(("position", "status"), [("accept", 200), ("400", 400)])
def test_empty_lists_put_v3(v3: V3, position: str, status: int) -> None:
    v3.switch(empty_lists_put_v3=position)
    uuid = v3.made(list_memberships=[v3.list_id()])
    assert v3.put(uuid, list_memberships=[]).status_code == status
    assert bool(v3.one(uuid)["list_memberships"]) is (status == 400)


@pytest.mark.parametrize(("position", "status"), [("ignore", 200), ("400", 400)])
def test_read_only_keys(v3: V3, position: str, status: int) -> None:
    v3.switch(read_only_keys=position)
    uuid = v3.made()
    assert v3.put(uuid, contact_id=uuid).status_code == status
    assert v3.put(uuid, created_at="2020-01-01T00:00:00Z").status_code == status
    assert v3.put(uuid, email_address=email(opt_in_source="Contact")).status_code == status
    assert v3.put(uuid, phone_numbers=[{"phone_number_id": uuid, "kind": "home"}]).status_code == status
    assert v3.put(uuid).status_code == 200


@pytest.mark.parametrize(("position", "status"), [("400", 400), ("ignore", 201)])
def test_unknown_list_v3(v3: V3, position: str, status: int) -> None:
    v3.switch(unknown_list_v3=position)
    lists = ["00000000-0000-4000-8000-000000000000", v3.list_id()]
    assert v3.create(list_memberships=lists).status_code == status


@pytest.mark.parametrize("position", [True, False])
def test_updated_bump_on_list_change(v3: V3, position: bool) -> None:
    v3.switch(updated_bump_on_list_change=position)
    uuid = v3.made()
    before = v3.one(uuid)["updated_at"]
    v3.wait(5)
    v3.put(uuid, list_memberships=[v3.list_id()])
    assert (v3.one(uuid)["updated_at"] != before) is position
    v3.put(uuid, first_name="Ada")
    assert v3.one(uuid)["updated_at"] != before


@pytest.mark.parametrize("position", [True, False])
def test_unsubscribed_keeps_lists(v3: V3, position: bool) -> None:
    v3.switch(unsubscribed_keeps_lists=position)
    first = v3.made(list_memberships=[v3.list_id()])
    second = v3.made("bo@example.com", list_memberships=[v3.list_id(), v3.list_id("Sustainers")])
    v3.put(first, email_address=email(permission="unsubscribed"))
    v3.act("unsubscribe", "bo@example.com")
    assert [bool(v3.one(uuid)["list_memberships"]) for uuid in (first, second)] == [position, position]
    v3.act("leave", "bo@example.com", list="News")
    assert (permission(v3, first), permission(v3, second)) == ("unsubscribed", "unsubscribed")
    v3.act("join", "bo@example.com", list="Free members")
    assert (permission(v3, first), permission(v3, second)) == ("unsubscribed", "explicit")


@pytest.mark.parametrize(("position", "status"), [("400", 400), ("403", 403), ("ignore", 200)])
def test_resubscribe_by_account(v3: V3, position: str, status: int) -> None:
    v3.switch(resubscribe_by_account=position)
    uuid = v3.made()
    v3.act("unsubscribe")
    before = v3.one(uuid)
    answer = v3.put(uuid, email_address=email(permission="explicit"), list_memberships=[v3.list_id()])
    assert answer.status_code == status
    assert v3.one(uuid) == before


@pytest.mark.parametrize(("position", "deleted"), [("on_no_list", False), ("deleted", True)])
def test_v1_removed_in_v3(v3: V3, position: str, deleted: bool) -> None:
    v3.switch(v1_removed_in_v3=position)
    uuid = v3.made(list_memberships=[v3.list_id()])
    v3.act("remove", list="News")
    assert ("deleted_at" in v3.one(uuid)) is deleted
    v3.act("add", list="News")
    assert "deleted_at" not in v3.one(uuid)


# Activities


def add(v3: V3, uuid: str) -> tuple[str, int]:
    body = {"source": {"contact_ids": [uuid]}, "list_ids": [v3.list_id()]}
    done = v3.activity("add_list_memberships", body)
    return done["state"], len(done["activity_errors"])


@pytest.mark.parametrize(("seconds", "state"), [(0, "completed"), (60, "initialized")])
def test_activity_delay(v3: V3, seconds: int, state: str) -> None:
    v3.switch(activity_delay=seconds)
    assert add(v3, v3.made())[0] == state


@pytest.mark.parametrize("position", ["completed", "failed", "cancelled", "timed_out"])
def test_activity_outcome(v3: V3, position: str) -> None:
    v3.switch(activity_outcome=position)
    uuid = v3.made()
    assert add(v3, uuid) == (position, 0 if position == "completed" else 1)
    assert bool(v3.one(uuid)["list_memberships"]) is (position == "completed")


@pytest.mark.parametrize(("most", "codes"), [(1, [201, 429]), (2, [201, 201])])
def test_activity_queue(v3: V3, most: int, codes: list[int]) -> None:
    v3.switch(activity_queue=most, activity_delay=60)
    body = {"contact_ids": [v3.made()]}
    assert [v3.send("POST", "/activities/contact_delete", body).status_code for _ in range(2)] == codes


@pytest.mark.parametrize(("position", "errors"), [("skip", 0), ("error", 1)])
def test_add_unsubscribed(v3: V3, position: str, errors: int) -> None:
    v3.switch(add_unsubscribed=position)
    uuid = v3.made()
    v3.act("unsubscribe")
    assert add(v3, uuid) == ("completed", errors)
    assert (permission(v3, uuid), v3.one(uuid)["list_memberships"]) == ("unsubscribed", [])


@pytest.mark.parametrize("position", [True, False])
def test_bulk_add_revives(v3: V3, position: bool) -> None:
    v3.switch(bulk_add_revives=position)
    uuid = v3.made()
    v3.send("DELETE", f"/contacts/{uuid}")
    add(v3, uuid)
    assert ("deleted_at" in v3.one(uuid)) is not position


# Deleted and opted out


@pytest.mark.parametrize(("position", "named"), [("id", True), ("not_unique", False)])
def test_taken_words(v3: V3, position: str, named: bool) -> None:
    v3.switch(taken_words=position)
    uuid = v3.made()
    answer = v3.create(ADA)
    assert (answer.status_code, uuid in answer.text) == (409, named)


@pytest.mark.parametrize("source", ["Contact", "Account"])
@pytest.mark.parametrize(
    ("position", "status", "out", "deleted"),
    [("400", 400, False, True), ("stays_deleted", 200, True, True), ("revives", 200, True, False)],
)
def test_deleted_unsubscribe(v3: V3, position: str, status: int, out: bool, deleted: bool, source: str) -> None:
    v3.switch(deleted_unsubscribe=position)
    uuid = v3.made(list_memberships=[v3.list_id()])
    v3.send("DELETE", f"/contacts/{uuid}")
    gone = v3.put(uuid, source, email_address=email(ADA, "unsubscribed"))
    assert gone.status_code == status
    found = v3.one(uuid)
    assert (permission(v3, uuid) == "unsubscribed", "deleted_at" in found) == (out, deleted)
    assert found["list_memberships"] == []
    if deleted:  # nothing else becomes possible by it
        assert v3.put(uuid, source, email_address=email(ADA, "explicit")).status_code == 400


def test_a_deleted_contact_can_come_back_opted_out_onto_a_list_wherever_the_switch_is(v3: V3) -> None:
    for number, position in enumerate(("400", "stays_deleted", "revives")):
        v3.switch(deleted_unsubscribe=position)
        address = f"p{number}@example.com"
        uuid = v3.made(address)
        v3.send("DELETE", f"/contacts/{uuid}")
        back = v3.put(uuid, email_address=email(address, "unsubscribed"), list_memberships=[v3.list_id()])
        assert back.status_code == 200
        assert (permission(v3, uuid), "deleted_at" in v3.one(uuid)) == ("unsubscribed", False)


@pytest.mark.parametrize("position", [True, False])
def test_opt_out_shown(v3: V3, position: bool) -> None:
    v3.switch(opt_out_shown=position)
    made = v3.made(permission="unsubscribed")
    found = v3.read(f"/contacts/{made}")["email_address"]
    assert found["permission_to_send"] == "unsubscribed"
    assert ("opt_out_date" in found, "opt_out_source" in found) == (position, position)


@pytest.mark.parametrize("position", [True, False])
def test_updated_bump_on_opt_out(v3: V3, position: bool) -> None:
    v3.switch(updated_bump_on_opt_out=position)
    by_footer, by_put = v3.made(), v3.made("bo@example.com")
    v3.wait(60)
    v3.act("unsubscribe")
    assert v3.put(by_put, email_address=email("bo@example.com", "unsubscribed")).status_code == 200
    for uuid in (by_footer, by_put):
        found = v3.one(uuid)
        assert (found["updated_at"] > found["created_at"]) is position
        assert found["email_address"]["opt_out_date"] > found["created_at"]
    assert len(v3.addresses(status="all", optout_after="2020-01-01")) == 2


# The OAuth server and the front of the house


@pytest.mark.parametrize(("position", "status"), [(False, 200), (True, 302)])
def test_auto_consent(v3: V3, position: bool, status: int) -> None:
    v3.switch(auto_consent=position)
    assert v3.authorize().status_code == status


@pytest.mark.parametrize("seconds", [86400, 28800, 2])
def test_access_token_life(v3: V3, seconds: int) -> None:
    v3.switch(access_token_life=seconds)
    found = v3.tokens()
    assert found["expires_in"] == seconds
    assert v3.with_token(found["access_token"]) == 200
    v3.wait(seconds)
    assert v3.with_token(found["access_token"]) == 401


@pytest.mark.parametrize(("position", "same", "status"), [("rotating", False, 400), ("long_lived", True, 200)])
def test_refresh_tokens(v3: V3, position: str, same: bool, status: int) -> None:
    v3.switch(refresh_tokens=position)
    token = v3.tokens()["refresh_token"]
    assert (v3.refresh(token).json()["refresh_token"] == token) is same
    assert v3.refresh(token).status_code == status


@pytest.mark.parametrize("position", [True, False])
def test_device_refresh_token(v3: V3, position: bool) -> None:
    v3.switch(device_refresh_token=position, auto_consent=True)
    form = {"client_id": "sandbox-client", "scope": "contact_data offline_access"}
    code = v3.oauth("POST", "device/authorize", data=form).json()["device_code"]
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    answer = v3.token(None, grant_type=grant, device_code=code, client_id="sandbox-client")
    assert ("refresh_token" in answer.json()) is position


@pytest.mark.parametrize(("position", "codes"), [(False, [200, 200]), (True, [200, 429])])
def test_token_rate_limit(v3: V3, position: bool, codes: list[int]) -> None:
    v3.switch(refresh_tokens="long_lived")
    token = v3.tokens()["refresh_token"]
    v3.wait(1)
    v3.switch(token_rate_limit=position)
    assert [v3.refresh(token).status_code for _ in range(2)] == codes
    v3.wait(1)
    assert v3.refresh(token).status_code == 200


@pytest.mark.parametrize(("position", "name"), [("oauth", "error"), ("okta", "errorCode"), ("array", "error_key")])
def test_oauth_error_shape(v3: V3, position: str, name: str) -> None:
    v3.switch(oauth_error_shape=position)
    for answer, expected in (
        (v3.refresh("made-up"), (400, "invalid_grant")),
        (v3.refresh("x", ("sandbox-client", "wrong")), (401, "invalid_client")),
    ):
        body = answer.json()
        assert (answer.status_code, (body[0] if position == "array" else body)[name]) == expected


@pytest.mark.parametrize(("position", "status"), [("manager", 200), ("campaign_creator", 403)])
def test_user_role(v3: V3, position: str, status: int) -> None:
    v3.switch(user_role=position)
    assert v3.get("/contacts").status_code == status
    assert v3.get("/account/summary").status_code == 200
