"""The published rules as data: the check says what is wrong with traffic, and nothing about good traffic."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.v3_caller import NOBODY, V3
from tests.sandbox.v3_rules import RULES, client_faults, server_faults


def call(method: str, path: str, body: str = "", **more: Any) -> dict[str, Any]:
    media = {"content-type": "application/json"} if method in ("POST", "PUT") else {}
    given = {"method": method, "path": path, "body": body, "headers": {**media, "accept": "application/json"}}
    return {**given, "status": 200, "applied": 200, "answer": '{"contacts":[]}', "media": "application/json", **more}


OAUTH = "/oauth2/default/v1"
ASKED = "client_id=x&redirect_uri=https%3A%2F%2Fa.example&response_type=code&state=s&scope=contact_data+offline_access"
MEMBERSHIPS = "/v3/activities/remove_list_memberships"


def form(path: str, body: str, **more: Any) -> dict[str, Any]:
    return call("POST", OAUTH + path, body, headers={"content-type": "application/x-www-form-urlencoded"}, **more)


def post(*members: str) -> dict[str, Any]:
    return call("POST", "/v3/contacts", "{" + ",".join(['"create_source":"Account"', *members]) + "}")


def put(*members: str) -> dict[str, Any]:
    return call("PUT", f"/v3/contacts/{NOBODY}", "{" + ",".join(['"update_source":"Account"', *members]) + "}")


@pytest.mark.parametrize(
    "exchange",
    [
        call("GET", "/v3/contacts?status=all&limit=500&email=a%40example.com&include=list_memberships,notes"),
        call("GET", "/v3/contacts?cursor=bGltaXQ9MQ%3D%3D"),
        call("GET", "/v3/contacts?updated_after=2026-01-01T00:00:00Z&include_count=true"),
        call("GET", f"/v3/contacts/{NOBODY}?include=taggings"),
        call("POST", "/v3/contacts", '{"create_source":"Account","first_name":"A"}'),
        call("DELETE", f"/v3/contacts/{NOBODY}"),
        call(
            "POST",
            "/v3/activities/add_list_memberships",
            f'{{"source":{{"contact_ids":["{NOBODY}"]}},"list_ids":["{NOBODY}"]}}',
        ),
        call("GET", "/v3/contact_lists?include_membership_count=all"),
        call("GET", "/ws/customers/acme/contacts?whatever=1"),
        form("/token", "grant_type=refresh_token&refresh_token=..."),
        form("/token?grant_type=refresh_token&refresh_token=...", ""),
        form("/token", "grant_type=authorization_code&code=...&redirect_uri=https://a.example&code_verifier=..."),
        form("/token", "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=...&client_id=x"),
        form("/device/authorize", "client_id=x&scope=contact_data"),
        form("/authorize", "request=...&decision=allow"),
        form("/activate", "user_code=..."),
        call("GET", f"{OAUTH}/authorize?{ASKED}", headers={"accept": "text/html"}),
        call("GET", f"{OAUTH}/authorize?{ASKED}&code_challenge={'x' * 43}&code_challenge_method=S256"),
        put('"list_memberships":[]', '"email_address":{"address":"a@example.com","permission_to_send":"temp_hold"}'),
        put(f'"taggings":["{NOBODY}"]', f'"custom_fields":[{{"custom_field_id":"{NOBODY}","value":"7"}}]'),
    ],
)
def test_good_requests_have_no_fault(exchange: dict[str, Any]) -> None:
    assert client_faults(exchange) == []


@pytest.mark.parametrize(
    ("exchange", "word"),
    [
        (call("GET", "/v3/v3/contacts"), "no endpoint"),
        (call("PATCH", f"/v3/contacts/{NOBODY}"), "no endpoint"),
        (call("GET", "/v3/contacts/7"), "no endpoint"),
        (call("GET", "/v3/contacts?limit=501"), "limit"),
        (call("GET", "/v3/contacts?status=happy"), "status"),
        (call("GET", "/v3/contacts?email=a+b@example.com"), "email"),
        (call("GET", "/v3/contacts?colour=red"), "colour"),
        (call("GET", "/v3/contacts?cursor=x&limit=5"), "cursor"),
        (call("GET", "/v3/contacts?limit=5&limit=6"), "twice"),
        (call("GET", "/v3/contact_lists?include_membership_count=true"), "include_membership_count"),
        (call("GET", "/v3/contacts", "{}"), "body"),
        (call("GET", "/v3/contacts", headers={"accept": "text/html"}), "Accept"),
        (call("POST", "/v3/contacts", "{"), "not JSON"),
        (call("POST", "/v3/contacts", "[]"), "not an object"),
        (call("POST", "/v3/contacts", '{"first_name":"A"}'), "create_source"),
        (post(), "is needed"),
        (post('"first_name":""', '"email_address":{"permission_to_send":"implicit"}'), "is needed"),
        (post('"first_name":"A"', '"colour":"red"'), "colour"),
        (post('"first_name":"A"', '"update_source":"Account"'), "update_source"),
        (call("POST", "/v3/contacts", '{"create_source":"System","first_name":"A"}'), "create_source"),
        (post('"email_address":{"address":"a@example.com","permission_to_send":"temp_hold"}'), "permission_to_send"),
        (post('"first_name":"A"', '"list_memberships":["7"]'), "list_memberships"),
        (put('"contact_id":"x"'), "contact_id"),
        (put('"created_at":"2026-01-01T00:00:00Z"'), "created_at"),
        (call("PUT", f"/v3/contacts/{NOBODY}", '{"update_source":"Visitor"}'), "update_source"),
        (put('"email_address":{"address":"a@example.com","permission_to_send":"yes"}'), "permission_to_send"),
        (put(f'"list_memberships":["{NOBODY}","7"]'), "list_memberships"),
        (put('"taggings":[7]'), "taggings"),
        (put('"custom_fields":[{"custom_field_id":"7","value":"x"}]'), "custom_field_id"),
        (put('"phone_numbers":[{"kind":"fax","phone_number":"1"}]'), "phone_numbers.kind"),
        (put('"street_addresses":[{"kind":"mobile"}]'), "street_addresses.kind"),
        (call("POST", MEMBERSHIPS, f'{{"source":{{"contact_ids":["7"]}},"list_ids":["{NOBODY}"]}}'), "contact_ids"),
        (call("POST", MEMBERSHIPS, f'{{"source":{{"contact_ids":["{NOBODY}"]}},"list_ids":["7"]}}'), "list_ids"),
        (call("PUT", f"/v3/contacts/resubscribe/{NOBODY}", '{"list_ids":["7"]}'), "list_ids"),
        (
            call(
                "POST",
                "/v3/contacts/sign_up_form",
                f'{{"email_address":"a@example.com","list_memberships":["{NOBODY}"]}}',
            ),
            "may not be called",
        ),
        (form("/token", "refresh_token=..."), "grant_type"),
        (form("/token", "grant_type=client_credentials"), "grant_type"),
        (form("/token", "grant_type=refresh_token"), "refresh_token is missing"),
        (form("/token", "grant_type=refresh_token&refresh_token="), "refresh_token is missing"),
        (form("/token", "grant_type=authorization_code&redirect_uri=https://a.example"), "code is missing"),
        (form("/token", "grant_type=authorization_code&code=..."), "redirect_uri is missing"),
        (form("/token", "grant_type=refresh_token&refresh_token=...&code=..."), "code is not published"),
        (form("/token?refresh_token=...", "grant_type=refresh_token&refresh_token=..."), "twice"),
        (form("/token", "grant_type=urn:ietf:params:oauth:grant-type:device_code"), "device_code is missing"),
        (form("/device/authorize", "client_id=x"), "scope is missing"),
        (form("/device/authorize", "scope=contact_data"), "client_id is missing"),
        (form("/revoke", "token=..."), "no endpoint"),
        (call("GET", f"{OAUTH}/authorize?{ASKED.replace('state=s&', '')}"), "state is missing"),
        (call("GET", f"{OAUTH}/authorize?{ASKED.replace('=code', '=token')}"), "response_type"),
        (call("GET", f"{OAUTH}/authorize?{ASKED}&code_challenge=short"), "code_challenge"),
        (call("GET", f"{OAUTH}/authorize?{ASKED}&code_challenge_method=plain"), "code_challenge_method"),
        (call("GET", f"{OAUTH}/authorize?{ASKED}&client_secret=..."), "client_secret"),
        (call("POST", "/v3/contact_tags", '{"name":"a"}', headers={"content-type": "text/plain"}), "Content-Type"),
        (call("POST", "/v3/contacts", '{"create_source":"Account","first_name":"' + "x" * 51 + '"}'), "too long"),
        (call("PUT", f"/v3/contacts/{NOBODY}", "{}"), "update_source is missing"),
        (
            call("PUT", f"/v3/contacts/{NOBODY}", '{"update_source":"Account","phone_numbers":[{},{},{},{}]}'),
            "phone_numbers",
        ),
        (
            call("POST", "/v3/activities/add_list_memberships", f'{{"source":{{}},"list_ids":["{NOBODY}"]}}'),
            "exactly one",
        ),
        (
            call(
                "POST",
                "/v3/activities/contact_delete",
                f'{{"contact_ids":["{NOBODY}"],"list_ids":["{NOBODY}"]}}',
            ),
            "exactly one",
        ),
        (call("POST", f"{OAUTH}/token", "grant_type=refresh_token&refresh_token=..."), "Content-Type"),
    ],
)
def test_a_wrong_request_is_told(exchange: dict[str, Any], word: str) -> None:
    (fault,) = client_faults(exchange)
    assert word in fault


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"applied": 418}, "418"),
        ({"applied": 204}, "204"),
        ({"answer": "{}"}, "contacts is missing"),
        ({"answer": '{"contacts":[{"created_at":"soon"}]}'}, "not a time"),
        ({"applied": 401, "answer": '[{"error_key":"k","error_message":"m"}]'}, "shape"),
        ({"applied": 400, "answer": '{"error_key":"k","error_message":"m"}'}, "shape"),
        ({"applied": 404, "answer": ""}, "shape"),
    ],
)
def test_a_wrong_answer_is_told(change: dict[str, Any], word: str) -> None:
    (fault,) = server_faults(call("GET", "/v3/contacts", **change))
    assert word in fault


def test_a_good_answer_and_one_made_by_a_fault_have_no_fault() -> None:
    assert server_faults(call("GET", "/v3/contacts")) == []
    assert server_faults(call("GET", "/v3/contacts", applied=None, answer=None, status=418)) == []


def test_every_rule_names_its_section_and_is_answered_by_the_sandbox(v3: V3) -> None:
    for rule in RULES:
        assert rule.section.startswith("§")
        path = rule.path.split("(")[0] + (NOBODY if "(" in rule.path else "")
        if rule.form or rule.page:
            assert v3.oauth(rule.method, path.removeprefix("/oauth2/default/v1/")).status_code not in (404, 405)
        else:
            body: dict[str, object] | None = {} if rule.method in ("POST", "PUT") else None
            answer = v3.send(rule.method, path.removeprefix("/v3"), body)
            assert answer.status_code != 405
            assert "There is nothing here" not in answer.text


def test_the_exchanges_of_a_sandbox_can_be_checked(v3: V3) -> None:
    v3.made(first_name="Ada")
    v3.get("/contacts", limit=9999)
    exchanges = v3.control("exchanges", method="GET")["exchanges"]
    assert [each for exchange in exchanges for each in client_faults(exchange)] == [
        "GET /v3/contacts (§2.2): parameter limit has a wrong value"
    ]
    assert [each for exchange in exchanges for each in server_faults(exchange)] == []
