"""The OAuth server: consent, codes, tokens, devices, and what becomes of the careless (v3 sheet §1)."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.sandbox.v3_caller import BASIC, REDIRECT, V3, challenge_of, query_of

VERIFIER = "a-verifier-that-is-long-enough-to-be-one-0123456789"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def error(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def hidden(page: requests.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


# Consent


def test_a_person_is_asked_and_sent_back_with_a_code_and_the_state(v3: V3) -> None:
    page = v3.authorize()
    assert page.status_code == 200
    assert "contact_data" in page.text
    assert "form-action 'self' http://localhost:8000;" in page.headers["Content-Security-Policy"]
    form = {"request": hidden(page, "request"), "decision": "allow"}
    answer = v3.oauth("POST", "authorize", data=form)
    assert answer.headers["Location"].startswith(REDIRECT + "?")
    found = query_of(answer)
    assert found["state"] == "xyzzy"
    assert v3.exchange(found["code"]).status_code == 200


def test_a_person_may_refuse(v3: V3) -> None:
    form = {"request": hidden(v3.authorize(), "request"), "decision": "refuse"}
    found = query_of(v3.oauth("POST", "authorize", data=form))
    assert (found["error"], found["state"], "code" in found) == ("access_denied", "xyzzy", False)


def test_a_form_is_good_once_and_only_from_its_own_page(v3: V3) -> None:
    form = {"request": hidden(v3.authorize(), "request"), "decision": "allow"}
    foreign = v3.oauth("POST", "authorize", data=form, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert v3.oauth("POST", "authorize", data=form).status_code == 403
    assert v3.oauth("POST", "authorize", data={"request": "made-up", "decision": "allow"}).status_code == 403


@pytest.mark.parametrize(
    "given",
    [
        {"client_id": "somebody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": "http://localhost.evil.example/cb"},
        {"redirect_uri": "http://localhost/cb#part"},
        {"redirect_uri": "http://[::1"},
        {"redirect_uri": "http://localhost:99999/cb"},
        {"redirect_uri": "http://localhost/cb\r\nX-Evil: 1"},
        {"redirect_uri": "http://a b@localhost/cb"},
        {"redirect_uri": None},
    ],
)
def test_a_wrong_client_or_redirect_is_told_to_the_person_and_never_sent_on(v3: V3, given: dict[str, object]) -> None:
    v3.switch(auto_consent=True)
    answer = v3.authorize(**given)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"state": None}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_sent_back_to_the_client(v3: V3, given: dict[str, object], name: str) -> None:
    assert query_of(v3.authorize(**given))["error"] == name


def test_what_a_client_sends_is_shown_escaped(v3: V3) -> None:
    page = v3.authorize(redirect_uri="http://localhost/<script>alert(1)</script>")
    assert (page.status_code, "<script>" in page.text) == (200, False)


def test_only_registered_redirects_are_good_once_they_are_listed(v3: V3) -> None:
    v3.control("oauth", {"redirect_uris": ["https://site.example.com/cb"]})
    v3.switch(auto_consent=True)
    assert v3.authorize().status_code == 400
    assert v3.authorize(redirect_uri="https://site.example.com/cb/").status_code == 400
    assert v3.authorize(redirect_uri="https://site.example.com/cb").status_code == 302
    v3.control("oauth", {"redirect_uris": None})
    assert v3.authorize().status_code == 302


# Codes


def test_a_code_brings_tokens_that_work(v3: V3) -> None:
    found = v3.tokens()
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 86400)
    assert set(found["scope"].split()) == {"contact_data", "offline_access"}
    assert 1000 <= len(found["access_token"]) <= 1300
    assert found["access_token"].count(".") == 2
    assert v3.with_token(found["access_token"]) == 200


def test_a_code_is_good_once(v3: V3) -> None:
    code = v3.code()
    assert v3.exchange(code).status_code == 200
    assert error(v3.exchange(code)) == (400, "invalid_grant")


def test_a_code_dies_after_five_minutes(v3: V3) -> None:
    code, other = v3.code(), v3.code()
    v3.wait(290)
    assert v3.exchange(other).status_code == 200
    v3.wait(10)
    assert error(v3.exchange(code)) == (400, "invalid_grant")


def test_a_code_is_good_with_its_own_redirect_only(v3: V3) -> None:
    answer = v3.exchange(v3.code(), redirect_uri="http://localhost:8000/other")
    assert error(answer) == (400, "invalid_grant")
    assert error(v3.exchange("made-up")) == (400, "invalid_grant")


@pytest.mark.parametrize("missing", ["code", "redirect_uri"])
def test_a_code_exchange_needs_its_parameters(v3: V3, missing: str) -> None:
    given: dict[str, object] = {"grant_type": "authorization_code", "code": v3.code(), "redirect_uri": REDIRECT}
    del given[missing]
    assert error(v3.token(BASIC, **given)) == (400, "invalid_request")


@pytest.mark.parametrize("verifier", ["wrong", "\u00e9", None])
def test_a_challenge_asks_for_its_verifier(v3: V3, verifier: str | None) -> None:
    code = v3.code(code_challenge=challenge_of(VERIFIER), code_challenge_method="S256")
    more: dict[str, object] = {} if verifier is None else {"code_verifier": verifier}
    assert error(v3.exchange(code, BASIC, **more)) == (400, "invalid_grant")


def test_a_challenge_of_odd_letters_is_no_500(v3: V3) -> None:
    code = v3.code(code_challenge="\u00e9", code_challenge_method="S256")
    assert error(v3.exchange(code, code_verifier=VERIFIER)) == (400, "invalid_grant")


def test_a_public_client_proves_itself_by_the_verifier(v3: V3) -> None:
    code = v3.code(code_challenge=challenge_of(VERIFIER), code_challenge_method="S256")
    found = v3.exchange(code, None, client_id="sandbox-client", code_verifier=VERIFIER)
    assert found.status_code == 200
    again = v3.refresh(found.json()["refresh_token"], None, client_id="sandbox-client")
    assert again.status_code == 200
    assert error(v3.refresh(again.json()["refresh_token"])) == (400, "invalid_grant")


def test_a_client_with_a_secret_cannot_do_without_it(v3: V3) -> None:
    assert error(v3.exchange(v3.code(), None, client_id="sandbox-client")) == (400, "invalid_grant")
    token = v3.tokens()["refresh_token"]
    assert error(v3.refresh(token, None, client_id="sandbox-client")) == (400, "invalid_grant")
    assert v3.refresh(token).status_code == 200


# Clients


@pytest.mark.parametrize(
    ("auth", "form", "expected"),
    [
        (("sandbox-client", "wrong"), {}, (401, "invalid_client")),
        (("somebody", "sandbox-secret"), {}, (401, "invalid_client")),
        (None, {}, (401, "invalid_client")),
        (None, {"client_id": "somebody"}, (401, "invalid_client")),
        (None, {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}, (401, "invalid_client")),
        (BASIC, {"client_id": "sandbox-client"}, (400, "invalid_request")),
    ],
)
def test_who_is_not_the_client_gets_nothing(
    v3: V3, auth: tuple[str, str] | None, form: dict[str, str], expected: tuple[int, str]
) -> None:
    token = v3.tokens()["refresh_token"]
    assert error(v3.refresh(token, auth, **form)) == expected
    assert v3.refresh(token).status_code == 200


@pytest.mark.parametrize("header", ["Basic", "Basic !!", "Basic c2FuZGJveA==", "Bearer x"])
def test_a_twisted_header_is_no_500(v3: V3, header: str) -> None:
    answer = v3.oauth("POST", "token", data={"grant_type": "x"}, headers={"Authorization": header})
    assert error(answer) == (401, "invalid_client")


def test_parameters_may_stand_in_the_query(v3: V3) -> None:
    given = {"grant_type": "authorization_code", "code": v3.code(), "redirect_uri": REDIRECT}
    assert v3.oauth("POST", "token", params=given, auth=BASIC).status_code == 200


def test_json_is_no_form(v3: V3) -> None:
    answer = v3.oauth("POST", "token", json={"grant_type": "refresh_token"}, auth=BASIC)
    assert (answer.status_code, answer.json()["errorCode"]) == (415, "E0000021")


def test_other_grants_and_methods_are_refused(v3: V3) -> None:
    assert error(v3.token(grant_type="client_credentials")) == (400, "unsupported_grant_type")
    assert error(v3.token()) == (400, "unsupported_grant_type")
    assert v3.oauth("GET", "token").status_code == 405
    assert v3.oauth("GET", ".well-known/openid-configuration").status_code == 404


# Refreshing


def test_a_refresh_token_rotates_and_the_old_one_is_dead(v3: V3) -> None:
    first = v3.tokens()
    second = v3.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert error(v3.refresh(first["refresh_token"])) == (400, "invalid_grant")
    assert v3.with_token(first["access_token"]) == 200
    assert v3.refresh(second["refresh_token"]).status_code == 200


def test_a_refresh_token_dies_after_180_idle_days(v3: V3) -> None:
    token = v3.tokens()["refresh_token"]
    v3.wait(179 * 86400)
    token = v3.refresh(token).json()["refresh_token"]
    v3.wait(179 * 86400)
    token = v3.refresh(token).json()["refresh_token"]
    v3.wait(181 * 86400)
    assert error(v3.refresh(token)) == (400, "invalid_grant")


def test_without_offline_access_there_is_no_refresh_token(v3: V3) -> None:
    assert "refresh_token" not in v3.tokens("contact_data")


def test_an_access_token_dies_at_its_time(v3: V3) -> None:
    token = v3.tokens()["access_token"]
    v3.wait(86399)
    assert v3.with_token(token) == 200
    v3.wait(2)
    assert v3.with_token(token) == 401
    assert v3.with_token("sandbox-token") == 200


# Levers


def test_access_tokens_can_be_expired_and_the_grant_revoked(v3: V3) -> None:
    first = v3.tokens()
    assert v3.control("oauth", {"expire": True})["grant_alive"] is True
    assert v3.with_token(first["access_token"]) == 401
    second = v3.refresh(first["refresh_token"]).json()
    assert v3.with_token(second["access_token"]) == 200
    state = v3.control("oauth", {"revoke": True})
    assert (state["grant_alive"], state["access_tokens"]) == (False, 0)
    assert v3.with_token(second["access_token"]) == 401
    assert error(v3.refresh(second["refresh_token"])) == (400, "invalid_grant")


def test_a_lever_grants_tokens_for_a_test_that_needs_no_browser(v3: V3) -> None:
    tokens = v3.control("oauth", {"grant": "contact_data offline_access"})["tokens"]
    assert v3.with_token(tokens["access_token"]) == 200
    assert v3.refresh(tokens["refresh_token"]).status_code == 200


def test_the_state_counts_token_calls_and_shows_no_token(v3: V3) -> None:
    tokens = v3.tokens()
    v3.refresh("made-up")
    state = v3.control("state", method="GET")["oauth"]
    assert (state["token_calls"], state["grant_alive"]) == (2, True)
    assert tokens["refresh_token"] not in str(state)
    v3.control("reset", {})
    state = v3.control("state", method="GET")["oauth"]
    assert (state["token_calls"], state["grant_alive"]) == (0, False)
    assert v3.with_token(tokens["access_token"]) == 401


@pytest.mark.parametrize(
    "given",
    [
        {"colour": 1},
        {"redirect_uris": "x"},
        {"redirect_uris": [7]},
        {"redirect_uris": ["x y"]},
        {"grant": "all"},
        {"device": "NONE"},
    ],
)
def test_a_wrong_lever_is_a_400_with_a_sentence(v3: V3, given: dict[str, object]) -> None:
    answer = requests.post(f"{v3.running.url}/_sandbox/oauth", json=given, timeout=5)
    assert (answer.status_code, answer.json()["error"][-1]) == (400, ".")


# Devices


def begin(v3: V3, **given: object) -> dict[str, str]:
    form = {"client_id": "sandbox-client", "scope": "contact_data offline_access", **given}
    answer = v3.oauth("POST", "device/authorize", data=form)
    assert answer.status_code == 200
    found: dict[str, str] = answer.json()
    return found


def ask(v3: V3, device: dict[str, str]) -> requests.Response:
    return v3.token(None, grant_type=DEVICE_GRANT, device_code=device["device_code"], client_id="sandbox-client")


def approve(v3: V3, device: dict[str, str], decision: str = "allow") -> requests.Response:
    url = urlsplit(device["verification_uri_complete"])
    page = v3.oauth("GET", "activate", params={name: v[0] for name, v in parse_qs(url.query).items()})
    assert device["user_code"] in page.text
    form = {"token": hidden(page, "token"), "user_code": device["user_code"], "decision": decision}
    return v3.oauth("POST", "activate", data=form)


def test_a_device_waits_until_a_person_approves_it(v3: V3) -> None:
    device = begin(v3)
    assert error(ask(v3, device)) == (400, "authorization_pending")
    assert approve(v3, device).status_code == 200
    v3.wait(5)
    answer = ask(v3, device)
    assert answer.status_code == 200
    assert v3.with_token(answer.json()["access_token"]) == 200
    assert v3.refresh(answer.json()["refresh_token"], None, client_id="sandbox-client").status_code == 200
    assert error(ask(v3, device)) == (400, "invalid_grant")


def test_a_device_that_asks_too_often_is_slowed_down(v3: V3) -> None:
    device = begin(v3)
    ask(v3, device)
    assert error(ask(v3, device)) == (400, "slow_down")
    v3.wait(6)
    assert error(ask(v3, device)) == (400, "slow_down")
    v3.wait(60)
    assert error(ask(v3, device)) == (400, "authorization_pending")


def test_a_device_code_expires_and_may_be_refused(v3: V3) -> None:
    refused, late = begin(v3), begin(v3)
    approve(v3, refused, "refuse")
    assert error(ask(v3, refused)) == (400, "access_denied")
    v3.wait(601)
    assert error(ask(v3, late)) == (400, "expired_token")
    assert approve(v3, late).status_code == 400


def test_a_machine_approves_a_device_by_a_lever(v3: V3) -> None:
    device = begin(v3)
    v3.control("oauth", {"device": device["user_code"]})
    assert ask(v3, device).status_code == 200


def test_a_device_needs_a_known_client_and_scope(v3: V3) -> None:
    wrong = {"client_id": "somebody", "scope": "contact_data"}
    assert error(v3.oauth("POST", "device/authorize", data=wrong)) == (401, "invalid_client")
    wrong = {"client_id": "sandbox-client", "scope": "everything"}
    assert error(v3.oauth("POST", "device/authorize", data=wrong)) == (400, "invalid_scope")


def test_a_device_page_answers_only_to_itself(v3: V3) -> None:
    form = {"token": "made-up", "user_code": begin(v3)["user_code"], "decision": "allow"}
    assert v3.oauth("POST", "activate", data=form).status_code == 403
