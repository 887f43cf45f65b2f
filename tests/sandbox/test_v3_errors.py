"""What v3 refuses at the door: who calls, how often, where to, in which form (v3 sheet §0, §6)."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.sandbox.v3_caller import NOBODY, V3


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic c2FuZGJveC10b2tlbg==", "sandbox-token"])
def test_without_a_good_token_it_is_a_401_object(v3: V3, header: str | None) -> None:
    answer = v3.send("GET", "/contacts", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json() == {"error_key": "unauthorized", "error_message": "Unauthorized"}


def test_a_token_without_the_scope_is_a_403_array(v3: V3) -> None:
    token = v3.tokens("account_read")["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = v3.send("GET", "/contacts", headers=headers)
    assert (answer.status_code, isinstance(answer.json(), list)) == (403, True)
    assert v3.send("GET", "/account/summary", headers=headers).status_code == 200
    token = v3.tokens("contact_data")["access_token"]
    assert v3.send("GET", "/account/summary", headers={"Authorization": f"Bearer {token}"}).status_code == 403


def test_unknown_paths_and_methods(v3: V3) -> None:
    assert v3.get("/nothing").status_code == 404
    assert v3.send("DELETE", "/contacts").status_code == 405
    assert v3.send("PATCH", f"/contacts/{NOBODY}").status_code == 405
    assert v3.send("POST", "/contacts/counts", {}).status_code == 405
    assert v3.send("DELETE", "/contacts/sign_up_form").status_code == 405


def test_a_path_beside_v3_is_refused_by_the_gateway(v3: V3) -> None:
    answer = v3.session.get(v3.running.url + "/contacts", timeout=5)
    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})
    assert v3.session.get(v3.running.url + "/v3/v3/contacts", timeout=5).status_code == 404


def test_only_json_is_accepted_and_sent(v3: V3) -> None:
    assert v3.send("GET", "/contacts", headers={"Accept": "text/html"}).status_code == 406
    assert v3.send("GET", "/contacts", headers={"Accept": "application/*;q=0.5"}).status_code == 200
    plain = v3.send("POST", "/contacts", data="{}", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    assert v3.send("POST", "/contacts", data="{}").status_code == 415
    charset = {"Content-Type": "application/json; charset=utf-8"}
    assert v3.send("POST", "/contacts", data='{"create_source":"Account","first_name":"A"}', headers=charset).ok
    assert v3.read("/contacts")["contacts"][0]["first_name"] == "A"


BODIES = {
    "nothing": b"",
    "cut": b'{"create_source": "Acc',
    "no JSON": b"<contact/>",
    "no object": b"[]",
    "a number": b"7",
    "null": b"null",
    "no UTF-8": b'{"create_source": "\xff"}',
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep lists": b"[" * 200_000,
    "a huge number": b'{"create_source":"Account","first_name":"A","birthday_month":' + b"9" * 10_000 + b"}",
    "not a number": b'{"create_source":"Account","email_address":NaN}',
    "a surrogate": b'{"create_source":"Account","first_name":"\\ud800"}',
    "a long name": b'{"create_source":"Account","first_name":"' + b"x" * 1_000_000 + b'"}',
    "many lists": b'{"create_source":"Account","list_memberships":[' + b'"x",' * 100_000 + b'"x"]}',
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/contacts"),
        ("PUT", "/contacts/{id}"),
        ("POST", "/contacts/sign_up_form"),
        ("POST", "/contact_lists"),
        ("POST", "/activities/add_list_memberships"),
        ("POST", "/activities/contacts_json_import"),
        ("POST", "/contact_custom_fields"),
        ("POST", "/contact_tags"),
    ],
)
def test_a_body_that_is_no_good_is_a_400(v3: V3, method: str, path: str, name: str) -> None:
    uuid = v3.made("old@example.com")
    headers = {"Content-Type": "application/json"}
    answer = v3.send(method, path.replace("{id}", uuid), data=BODIES[name], headers=headers)
    assert answer.status_code == 400
    assert answer.json()[0]["error_key"] == "contacts.api.validation.error"
    assert len(v3.addresses(status="all")) == 1


@pytest.mark.parametrize("value", [7, 7.5, True, "x", [], {}, [[]], [{}], [None], {"a": {}}])
def test_no_member_of_a_wrong_kind_is_a_500(v3: V3, value: Any) -> None:
    uuid = v3.made("old@example.com")
    members = (
        *("email_address", "first_name", "birthday_month", "anniversary", "sms_channel", "phone_numbers"),
        *("street_addresses", "custom_fields", "notes", "taggings", "list_memberships"),
    )
    for member in members:
        document = {"update_source": "Account", "first_name": "A", "email_address": {"address": "old@example.com"}}
        assert v3.send("PUT", f"/contacts/{uuid}", {**document, member: value}).status_code in (200, 400)
    for member in ("source", "exclude", "list_ids", "import_data", "contact_ids"):
        for name in ("add_list_memberships", "contacts_json_import", "contact_delete"):
            document = {"source": {"contact_ids": [uuid]}, "list_ids": [v3.list_id()], "import_data": []}
            status = v3.send("POST", f"/activities/{name}", {**document, member: value}).status_code
            assert status in (201, 400)


def test_the_fifth_call_in_a_second_is_a_429_object(v3: V3) -> None:
    v3.switch(rate_limit=True)
    answers = [v3.get("/contacts") for _ in range(5)]
    assert [each.status_code for each in answers] == [200] * 4 + [429]
    assert answers[-1].json() == {"error_key": "throttled", "error_message": "Too Many Requests"}
    assert "Retry-After" not in answers[-1].headers
    v3.wait(1)
    assert v3.get("/contacts").status_code == 200


def test_a_used_up_day_is_the_other_429(v3: V3) -> None:
    v3.switch(rate_limit=True, calls_per_day=1)
    v3.get("/contacts")
    answer = v3.get("/contacts")
    assert (answer.status_code, answer.json()["error_key"]) == (429, "quota_exceeded")
    assert answer.json()["error_message"] == "Limit Exceeded"
    v3.wait(86400)
    assert v3.get("/contacts").status_code == 200


def test_a_wrong_token_uses_up_nothing(v3: V3) -> None:
    v3.switch(rate_limit=True)
    for _ in range(6):
        assert v3.with_token("nonsense") == 401
    assert v3.control("state", method="GET")["quota"]["used"] == 0


def test_faults_strike_v3_too(v3: V3) -> None:
    v3.control("faults", {"kind": "status", "status": 503, "match": "POST /v3/contacts"})
    v3.control("faults", {"kind": "reset_after", "match": "PUT /v3/contacts/*"})
    assert v3.create().status_code == 503
    uuid = v3.made()
    with pytest.raises(requests.ConnectionError):
        v3.put(uuid, first_name="Ada")
    assert v3.one(uuid)["first_name"] == "Ada"


@pytest.mark.parametrize(
    ("kind", "start", "size"),
    [("deep_xml", "[[[", 3000), ("siblings", '{"contacts":[{},', 300), ("huge", '{"contacts"', 8192)],
)
def test_mishaps_on_v3_are_of_json(v3: V3, kind: str, start: str, size: int) -> None:
    v3.control("faults", {"kind": kind, "size": size})
    answer = v3.get("/contacts")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.text.startswith(start)
    assert len(answer.content) >= size - 10


def test_a_status_made_up_for_v3_may_have_a_body_of_json(v3: V3) -> None:
    body = '{"error_key":"throttled","error_message":"Too Many Requests"}'
    v3.control("faults", {"kind": "status", "status": 429, "body": body})
    answer = v3.get("/contacts")
    assert (answer.status_code, answer.json()["error_key"]) == (429, "throttled")
    assert answer.headers["Content-Type"] == "application/json"


def test_the_log_keeps_requests_and_answers_but_no_token(v3: V3) -> None:
    tokens = v3.tokens()
    v3.refresh(tokens["refresh_token"])
    v3.with_token(tokens["access_token"])
    v3.create()
    shown = v3.session.get(v3.running.url + "/_sandbox/exchanges", timeout=5)
    exchanges = shown.json()["exchanges"]
    assert [each["method"] for each in exchanges][-2:] == ["GET", "POST"]
    assert "ada@example.com" in exchanges[-1]["answer"]
    assert exchanges[-1]["media"] == "application/json"
    log = shown.text + v3.session.get(v3.running.url + "/_sandbox/requests", timeout=5).text
    secrets = (tokens["access_token"], tokens["refresh_token"], "sandbox-secret", "sandbox-token")
    assert not any(secret in log for secret in secrets)
    assert "refresh_token=..." in log


def test_a_device_and_a_consent_leave_no_code_in_the_log(v3: V3) -> None:
    code = v3.code()
    v3.exchange(code, code_verifier="v" * 50)
    device = v3.oauth("POST", "device/authorize", data={"client_id": "sandbox-client", "scope": "contact_data"}).json()
    v3.oauth("GET", "activate", params={"user_code": device["user_code"]})
    log = v3.session.get(v3.running.url + "/_sandbox/exchanges", timeout=5).text
    log += v3.session.get(v3.running.url + "/_sandbox/requests", timeout=5).text
    assert not any(secret in log for secret in (code, "v" * 50, device["device_code"], device["user_code"]))


def test_the_account_tells_its_name(v3: V3) -> None:
    assert v3.read("/account/summary")["encoded_account_id"] == "acme"
