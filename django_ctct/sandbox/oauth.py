"""The OAuth server of v3: ``/oauth2/default/v1/``, its token endpoint and its rules (v3 sheet §1).

It exists so that a client can be connected, refreshed and cut off for real. It checks who asks and in which
form; what is granted is kept by ``grants`` and ``devices``, and what people see is made by ``oauth_pages``. It
never writes a token anywhere but into the answer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl, unquote

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.devices import INTERVAL, LIFE, Devices, Said
from django_ctct.sandbox.grants import SCOPES, Consent, Grants, InvalidGrant
from django_ctct.sandbox.json_answers import json_answer
from django_ctct.sandbox.switches import Switches
from django_ctct.sandbox.wire import Answer, Door, Request

PREFIX = "/oauth2/"
BASE = "/oauth2/default/v1/"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
FORM = "application/x-www-form-urlencoded"


class _Trouble(Exception):
    """Carry an error of the token endpoint."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description

    def as_answer(self, switches: Switches) -> Answer:
        """Return the answer in the shape that the switch says (§1.5)."""
        shapes: Mapping[str, object] = {
            "oauth": {"error": self.error, "error_description": self.description},
            "okta": {"errorCode": self.error, "errorSummary": self.description},
            "array": [{"error_key": self.error, "error_message": self.description}],
        }
        return _uncached(json_answer(self.status, shapes[switches.oauth_error_shape]))


class OAuthDoor:
    """Answer what is under ``/oauth2/``; ``pages`` answers browsers."""

    def __init__(self, account: Account, grants: Grants, devices: Devices, pages: Mapping[str, Door]) -> None:
        self._account = account
        self._grants = grants
        self._devices = devices
        self._pages = pages
        self._clear()
        account.at_reset(self._clear)
        self._verbs: Mapping[str, Callable[[Mapping[str, str], bool], dict[str, Any]]] = {
            "authorization_code": self._from_code,
            "refresh_token": self._from_refresh_token,
            DEVICE_GRANT: self._from_device_code,
        }

    def _clear(self) -> None:
        self.token_calls = 0
        self._last_call: float | None = None

    def __call__(self, request: Request) -> Answer:
        """Answer one request; never raises for anything that a client can send."""
        name = request.path.removeprefix(BASE)
        if name in self._pages:
            return self._pages[name](request)
        if name not in ("token", "device/authorize"):
            # There is no discovery document either (§1.1).
            return json_answer(404, {"errorCode": "E0000022", "errorSummary": "There is nothing here"})
        if request.method != "POST":
            return json_answer(405, {"errorCode": "E0000022", "errorSummary": "This endpoint knows POST"})
        with self._account.lock:
            try:
                return self._token(request) if name == "token" else self._device(request)
            except _Trouble as trouble:
                return trouble.as_answer(self._account.switches)

    # The token endpoint

    def _token(self, request: Request) -> Answer:
        self.token_calls += 1
        if self._too_soon():
            return json_answer(429, {"error_key": "throttled", "error_message": "Too Many Requests"})
        if request.body and request.media_type != FORM:
            return json_answer(415, {"errorCode": "E0000021", "errorSummary": "Bad media type"})
        given = _parameters(request)
        secret_shown = self._authenticate(request, given)
        verb = self._verbs.get(given.get("grant_type", ""))
        if verb is None:
            raise _Trouble(400, "unsupported_grant_type", "The grant type is missing or not supported.")
        return _uncached(json_answer(200, verb(given, secret_shown)))

    def _too_soon(self) -> bool:
        """Tell whether this is more than one request in a second (§1.4)."""
        now, before = self._account.clock.seconds(), self._last_call
        soon = self._account.switches.token_rate_limit and before is not None and now - before < 1.0
        if not soon:
            self._last_call = now
        return soon

    def _authenticate(self, request: Request, given: Mapping[str, str]) -> bool:
        """Tell whether the client showed its secret; one without a secret names itself in the body (§1.3)."""
        known = self._account.credentials
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            if "client_id" in given or "client_secret" in given:
                raise _Trouble(400, "invalid_request", "The client is named twice.")
            name, _, secret = _decoded(value).partition(":")
            if _same(unquote(name), known.client_id) and _same(unquote(secret), known.client_secret):
                return True
        elif _same(given.get("client_id", ""), known.client_id) and "client_secret" not in given:
            return False
        raise _Trouble(401, "invalid_client", "The client is unknown, or its secret is missing or wrong.")

    def _from_code(self, given: Mapping[str, str], secret_shown: bool) -> dict[str, Any]:
        _need(given, "code", "redirect_uri")
        verifier = given.get("code_verifier", "")
        try:
            return self._grants.exchange(given["code"], given["redirect_uri"], verifier, secret_shown=secret_shown)
        except InvalidGrant as wrong:
            raise _Trouble(400, "invalid_grant", str(wrong)) from wrong

    def _from_refresh_token(self, given: Mapping[str, str], secret_shown: bool) -> dict[str, Any]:
        _need(given, "refresh_token")
        try:
            return self._grants.refresh(given["refresh_token"], secret_shown=secret_shown)
        except InvalidGrant as wrong:
            raise _Trouble(400, "invalid_grant", str(wrong)) from wrong

    def _from_device_code(self, given: Mapping[str, str], secret_shown: bool) -> dict[str, Any]:
        _need(given, "device_code")
        said, scopes = self._devices.ask(given["device_code"])
        if said is not Said.ALLOWED:
            raise _Trouble(400, said.value, "The device is not approved.")
        offline = "offline_access" in scopes and self._account.switches.device_refresh_token
        return self._grants.grant(Consent(scopes, not secret_shown, offline))

    # The device endpoint

    def _device(self, request: Request) -> Answer:
        given = _parameters(request)
        if not _same(given.get("client_id", ""), self._account.credentials.client_id):
            raise _Trouble(401, "invalid_client", "The client is unknown.")
        scopes = read_scopes(given.get("scope", ""))
        if scopes is None:
            raise _Trouble(400, "invalid_scope", "The scope is missing or unknown.")
        code, device = self._devices.begin(scopes)
        page = f"http://{request.host}{BASE}activate"
        return _uncached(
            json_answer(
                200,
                {
                    "device_code": code,
                    "user_code": device.user_code,
                    "verification_uri": page,
                    "verification_uri_complete": f"{page}?user_code={device.user_code}",
                    "expires_in": int(LIFE.total_seconds()),
                    "interval": INTERVAL,
                },
            )
        )


def read_scopes(text: str) -> frozenset[str] | None:
    """Return the scopes of a text, or nothing if there is none or one is unknown."""
    scopes = frozenset(text.split())
    return scopes if scopes and scopes <= SCOPES else None


def _parameters(request: Request) -> dict[str, str]:
    """Return what came in the query and in the body; both are allowed (§1.3)."""
    body = request.body.decode("utf-8", "replace") if request.media_type == FORM else ""
    try:
        return dict(parse_qsl(request.query, max_num_fields=50) + parse_qsl(body, max_num_fields=50))
    except ValueError as error:
        raise _Trouble(400, "invalid_request", "There are too many parameters.") from error


def _need(given: Mapping[str, str], *names: str) -> None:
    for name in names:
        if name not in given:
            raise _Trouble(400, "invalid_request", f"The parameter {name} is missing.")


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _same(given: str, known: str) -> bool:
    return compare_digest(given.encode(errors="replace"), known.encode())


def _uncached(answer: Answer) -> Answer:
    return answer.with_headers(("Cache-Control", "no-store"))
