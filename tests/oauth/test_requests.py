"""The requests to the OAuth server: what is sent, and what follows from every shape of answer."""

from __future__ import annotations

import base64
import json
import logging
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from django_ctct.backends.oauth2 import LONGEST_LIFE, UNKNOWN_LIFE, GrantRefused, OAuthClient, StillWaiting, lifetime
from django_ctct.exceptions import (
    AuthenticationFailed,
    ConfigurationError,
    PermanentError,
    RateLimited,
    RemoteError,
    RemoteUnavailable,
)

from .server import CLIENT_ID, TokenServer

REFRESH = "canary-refresh-0123456789"
CANARY = "canary"


def client(server: TokenServer, **options: Any) -> OAuthClient:
    return OAuthClient(server.options(**options))


def answered(server: TokenServer, status: int, body: Any, **headers: str) -> RemoteError:
    """Return the error of a renewal that is answered so."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    server.scripted.append((status, headers, raw))
    with pytest.raises(RemoteError) as caught:
        client(server).refresh(REFRESH)
    assert CANARY not in str(caught.value) + repr(caught.value)
    return caught.value


# What is sent


def test_a_client_with_a_secret_sends_it_by_basic_and_nothing_of_it_in_the_body(server: TokenServer) -> None:
    server.refresh.add(REFRESH)
    client(server).refresh(REFRESH)
    asked = server.asked[0]
    assert asked.form == {"grant_type": "refresh_token", "refresh_token": REFRESH}
    assert base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode().startswith(CLIENT_ID)
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_client_without_a_secret_names_itself_in_the_body(server: TokenServer) -> None:
    server.refresh.add(REFRESH)
    client(server, client_secret="").refresh(REFRESH)
    assert server.asked[0].form["client_id"] == CLIENT_ID
    assert "Authorization" not in server.asked[0].headers


def test_the_authorize_address_has_the_state_and_the_digest_of_the_verifier_only(server: TokenServer) -> None:
    uri = client(server).authorize_uri(redirect_uri="https://site.example/cb", state="s-1", verifier="v" * 60)
    query = {name: values[0] for name, values in parse_qs(urlsplit(uri).query).items()}
    assert uri.startswith(f"{server.url}/authorize?")
    assert query.pop("code_challenge")
    assert query == {
        "client_id": CLIENT_ID,
        "redirect_uri": "https://site.example/cb",
        "response_type": "code",
        "scope": "contact_data offline_access",
        "state": "s-1",
        "code_challenge_method": "S256",
    }
    assert "v" * 60 not in uri
    assert CANARY not in uri


def test_a_code_is_exchanged_with_its_verifier_and_only_once(server: TokenServer) -> None:
    one, back = client(server), "https://site.example/cb"
    uri = one.authorize_uri(redirect_uri=back, state="s", verifier="v" * 60)
    code = parse_qs(urlsplit(server.consent(dict(_query(uri)))).query)["code"][0]
    grant = one.exchange(code, redirect_uri=back, verifier="v" * 60)
    assert (grant.access in server.access, grant.refresh in server.refresh, grant.seconds) == (True, True, 86_400)
    with pytest.raises(GrantRefused):
        one.exchange(code, redirect_uri=back, verifier="v" * 60)


def test_a_code_with_another_verifier_is_refused(server: TokenServer) -> None:
    one, back = client(server), "https://site.example/cb"
    uri = one.authorize_uri(redirect_uri=back, state="s", verifier="v" * 60)
    code = parse_qs(urlsplit(server.consent(dict(_query(uri)))).query)["code"][0]
    with pytest.raises(GrantRefused):
        one.exchange(code, redirect_uri=back, verifier="w" * 60)


def _query(uri: str) -> list[tuple[str, str]]:
    return [(name, values[0]) for name, values in parse_qs(urlsplit(uri).query).items()]


# What comes back


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "canary"}, GrantRefused),
        (400, {"errorCode": "invalid_grant", "errorSummary": "canary"}, GrantRefused),
        (401, {"error": "invalid_client"}, AuthenticationFailed),
        (401, {"errorCode": "invalid_client", "errorSummary": "canary"}, AuthenticationFailed),
        (400, {"error": "unauthorized_client"}, AuthenticationFailed),
        (400, {"error": "invalid_scope"}, AuthenticationFailed),
        (401, [{"error_key": "unauthorized", "error_message": "canary"}], AuthenticationFailed),
        (401, {"error_key": "unauthorized", "error_message": "canary"}, AuthenticationFailed),
        (403, {"message": "Forbidden"}, AuthenticationFailed),
        (401, b"", AuthenticationFailed),
        (400, b"<html>canary</html>", RemoteUnavailable),
        (400, [{"error": "invalid_grant"}], RemoteUnavailable),
        (400, {"error": ["invalid_grant"]}, RemoteUnavailable),
        (400, {"error": "canary_unheard_of"}, RemoteUnavailable),
        (400, b"\xff\xfe", RemoteUnavailable),
        (400, b"[" * 30_000, RemoteUnavailable),
        (404, b"", RemoteUnavailable),
        (409, {}, RemoteUnavailable),
        (500, b"<html>canary</html>", RemoteUnavailable),
        (503, b"", RemoteUnavailable),
        (200, b"", RemoteUnavailable),
        (200, b"<html>canary</html>", RemoteUnavailable),
        (200, [], RemoteUnavailable),
        (200, {"token_type": "Bearer"}, RemoteUnavailable),
        (200, {"access_token": None}, RemoteUnavailable),
        (200, {"access_token": ""}, RemoteUnavailable),
        (200, {"access_token": "canary\r\nX-Other: 1"}, RemoteUnavailable),
        (200, {"access_token": "canarÿ"}, RemoteUnavailable),
        (200, {"access_token": "c" * 8193}, RemoteUnavailable),
        (200, {"access_token": "canary", "refresh_token": "two words"}, RemoteUnavailable),
        (200, {"access_token": "canary", "refresh_token": 7}, RemoteUnavailable),
        (200, {"access_token": "canary", "token_type": "mac"}, RemoteUnavailable),
    ],
)
def test_every_shape_of_answer_has_its_error(server: TokenServer, status: int, body: Any, kind: type) -> None:
    error = answered(server, status, body)
    assert type(error) is kind
    assert error.status == status


def test_only_invalid_grant_can_end_a_grant(server: TokenServer) -> None:
    """What the transport takes for final, an answer from elsewhere for example, passes here."""
    error = answered(server, 302, b"", Location="https://elsewhere.example/")
    assert isinstance(error, RemoteUnavailable)
    assert not isinstance(error, PermanentError)


def test_too_many_calls_say_how_long_to_wait(server: TokenServer) -> None:
    error = answered(server, 429, {"error_key": "throttled"}, **{"Retry-After": "7"})
    assert isinstance(error, RateLimited)
    assert error.retry_after == 7.0


def test_a_server_that_is_not_there_or_says_nothing_is_an_error_that_passes(server: TokenServer) -> None:
    gone = OAuthClient({**server.options(), "token_url": "http://127.0.0.1:9/token"})
    with pytest.raises(RemoteUnavailable):
        gone.refresh(REFRESH)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (86_400, 86_400),
        (28_800, 28_800),
        ("3600", 3600),
        (3599.9, 3599),
        (1, 60),
        (None, UNKNOWN_LIFE),
        (0, UNKNOWN_LIFE),
        (-5, UNKNOWN_LIFE),
        ("-5", UNKNOWN_LIFE),
        ("soon", UNKNOWN_LIFE),
        (True, UNKNOWN_LIFE),
        ([], UNKNOWN_LIFE),
        (float("nan"), UNKNOWN_LIFE),
        (float("inf"), LONGEST_LIFE),
        (10**30, LONGEST_LIFE),
        (315_360_000, LONGEST_LIFE),
    ],
)
def test_an_absurd_lifetime_is_clamped(told: object, seconds: int) -> None:
    assert lifetime(told) == seconds


@pytest.mark.parametrize("told", [None, -1, 10**20, "nonsense"])
def test_an_answer_with_an_absurd_lifetime_is_taken(server: TokenServer, told: Any) -> None:
    server.expires_in = told
    server.refresh.add(REFRESH)
    grant = client(server).refresh(REFRESH)
    assert 0 < grant.seconds <= LONGEST_LIFE
    assert len(grant.access) > 1200


def test_without_offline_access_there_is_no_refresh_token(server: TokenServer) -> None:
    server.refresh.add(REFRESH)
    server.refresh_tokens = False
    assert client(server).refresh(REFRESH).refresh == ""


# The device


def test_a_device_code_waits_for_the_person(server: TokenServer) -> None:
    server.consented = False
    one = client(server)
    code = one.start_device()
    assert server.devices == [{"client_id": CLIENT_ID, "scope": "contact_data offline_access"}]
    assert (code.user_code, code.url, code.interval) == ("ABCD-EFGH", "https://example.com/activate", 1)
    with pytest.raises(StillWaiting):
        one.finish_device(code.device_code)
    server.consented = True
    assert one.finish_device(code.device_code).access in server.access


@pytest.mark.parametrize(
    "wrong",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://elsewhere.example/"},
        {"verification_uri": "https://example.com/\x1b[2J"},
        {"verification_uri": "https://user:pass@example.com/"},
        {"user_code": "AB\x1b]0;x\x07"},
        {"device_code": ""},
    ],
)
def test_what_a_terminal_would_obey_is_not_shown(server: TokenServer, wrong: dict[str, str]) -> None:
    told = {"device_code": "d", "user_code": "ABCD", "verification_uri": "https://example.com/", **wrong}
    server.scripted.append((200, {}, json.dumps(told).encode()))
    with pytest.raises(RemoteUnavailable):
        client(server).start_device()


# Options and discretion


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "client_id"),
        ({"client_id": 7}, "client_id must be a text"),
        ({"client_id": "a\r\nb"}, "client_id must be a text"),
        ({"client_id": "a", "token_url": "http://elsewhere.example/token"}, "token_url must begin with https"),
        ({"client_id": "a", "authorize_url": "https://u:p@x.example/"}, "authorize_url must hold no user name"),
        ({"client_id": "a", "redirect_uri": "javascript:alert(1)"}, "redirect_uri"),
        ({"client_id": "a", "device_url": 5}, "device_url"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        OAuthClient(options)


def test_nothing_secret_is_in_a_repr_or_a_log(server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.refresh.add(REFRESH)
    one = client(server)
    grant = one.refresh(REFRESH)
    told = [repr(one), str(one), repr(grant), repr(one.start_device()), caplog.text]
    assert CANARY not in " ".join(told)


def test_a_server_that_drips_is_left_in_time(server: TokenServer) -> None:
    server.delay = 1.0
    one = client(server)
    one._transport._total = 0.3
    started = time.monotonic()
    with pytest.raises(RemoteUnavailable):
        one.refresh(REFRESH)
    assert time.monotonic() - started < 1.0
