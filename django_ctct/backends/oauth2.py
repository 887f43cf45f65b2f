"""OAuth 2 towards Constant Contact: the authorize address, and the requests to the token endpoint.

Each request is one answer or one error; nothing here keeps a token, waits, tries again or reads the database:
that is the token store's (``tokens``). What went wrong is told by what can be done next, and an error's text
holds no token, no code and nothing that the server said: its words are for nobody's log.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from ..exceptions import (
    AuthenticationFailed,
    ConfigurationError,
    RateLimited,
    RemoteError,
    RemoteUnavailable,
)
from .base import NoGate
from .http import Answer, Call, Transport, check_base_url

__all__ = ["SCOPE", "DeviceCode", "Grant", "GrantRefused", "OAuthClient", "StillWaiting"]

_HOST = "https://authz.constantcontact.com/oauth2/default/v1"
#: Contacts and lists, and a refresh token: without ``offline_access`` none is given (protocol sheet §1.3, §1.6).
SCOPE = "contact_data offline_access"
#: How long an access token is taken to last where the server does not say, or says what cannot be (seconds).
#: Too long costs one refused call, which renews it; too short would renew it for every call.
UNKNOWN_LIFE = 3600
#: The vendor's longest is 24 hours (sheet §1.1); a longer one is renewed daily all the same.
SHORTEST_LIFE, LONGEST_LIFE = 60, 86_400
#: Tokens are some 1,200 characters. What is much longer is not one.
LONGEST_TOKEN = 8192
ANSWER_CAP = 64 * 1024

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
#: Statuses whose bodies say which OAuth error it is (sheet §1.5). 401 and 403 may also come from the gateway.
_JUDGED_HERE = frozenset({400, 401, 403})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave. ``seconds`` is how long the access token lasts, already clamped.

    ``refresh`` is empty where the server gave none: on a renewal the old one stays good then (RFC 6749 §6).
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    seconds: int
    scope: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person types at which address to connect a terminal, and how often to ask whether she has."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    url: str = field(repr=False)  # it may hold the user's code
    seconds: int
    interval: int


class GrantRefused(AuthenticationFailed):
    """The code or the refresh token is not good (any more): ``invalid_grant``, ``expired_token``, ``access_denied``."""


class StillWaiting(RateLimited):
    """The person has not answered yet (``authorization_pending``), or was asked for too often (``slow_down``)."""


class OAuthClient:
    """The site as a client of the OAuth server. It takes its part of an account's ``OPTIONS``; ``close`` it at the end.

    With a ``client_secret`` it authenticates by HTTP Basic, and never also in the body, which the server refuses;
    without one it is a public client, whose proof is PKCE.
    """

    options: ClassVar[tuple[str, ...]] = (
        "client_id",
        "client_secret",
        "authorize_url",
        "token_url",
        "device_url",
        "redirect_uri",
        "scope",
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.client_id = _text(options, "client_id")
        if not self.client_id:
            raise ConfigurationError("OPTIONS needs client_id: the API key of your application at Constant Contact.")
        self._secret = _text(options, "client_secret")
        self.scope = _text(options, "scope") or SCOPE
        self.redirect_uri = _text(options, "redirect_uri")
        if self.redirect_uri:
            check_base_url(self.redirect_uri, option="redirect_uri")
        self._authorize_url = _address(options, "authorize_url", f"{_HOST}/authorize")
        self._token_url = _address(options, "token_url", f"{_HOST}/token")
        self._device_url = _address(options, "device_url", f"{_HOST}/device/authorize")
        self._transport = Transport(self._token_url, authorize=self._authorize, gate=NoGate())

    def __repr__(self) -> str:
        return f"<OAuthClient {self.client_id[:8]}…>"

    def authorize_uri(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Return where the browser goes to consent. Only the verifier's digest leaves the site (PKCE, S256)."""
        challenge = create_s256_code_challenge(verifier)
        uri: str = prepare_grant_uri(
            self._authorize_url,
            self.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=self.scope,
            state=state,
            code_challenge=challenge,
            code_challenge_method="S256",
        )
        return uri

    def exchange(self, code: str, *, redirect_uri: str, verifier: str) -> Grant:
        """Turn the code that the browser brought back into tokens. A code is good once, for five minutes."""
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return _grant(self._ask("/token", self._token_url, {**asked, "code_verifier": verifier}))

    def refresh(self, refresh_token: str) -> Grant:
        """Renew the tokens. A rotating refresh token is used up by this, even where the answer gets lost."""
        asked = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return _grant(self._ask("/token", self._token_url, asked))

    def start_device(self) -> DeviceCode:
        """Ask for a code that a person types in any browser (RFC 8628)."""
        asked = {"client_id": self.client_id, "scope": self.scope}
        return _device_code(self._ask("/device/authorize", self._device_url, asked))

    def finish_device(self, device_code: str) -> Grant:
        """Ask whether the person has consented. Raise ``StillWaiting`` as long as she has not."""
        return _grant(self._ask("/token", self._token_url, {"grant_type": _DEVICE_GRANT, "device_code": device_code}))

    def close(self) -> None:
        """Give the connection back."""
        self._transport.close()

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # The device endpoint wants the client's name in the body (RFC 8628 §3.1), and so nothing beside it.
        if self._secret and request.url != self._device_url:
            pair = base64.b64encode(f"{self.client_id}:{self._secret}".encode()).decode()
            request.headers["Authorization"] = f"Basic {pair}"
        return request

    def _ask(self, template: str, url: str, asked: Mapping[str, str]) -> Answer:
        """Post one form. Whatever is not a refusal by OAuth itself is an error that passes."""
        if not self._secret:
            asked = {**asked, "client_id": self.client_id}
        body = urlencode(asked).encode()
        try:
            answer = self._transport.send(
                Call("POST", template), url, body=body, headers=_FORM, cap=ANSWER_CAP, allow=_JUDGED_HERE
            )
        except (RateLimited, AuthenticationFailed):
            raise
        except RemoteError as error:  # an unknown outcome too: no contact's write is in doubt
            raise _passing(error) from None
        if answer.status in _JUDGED_HERE:
            raise _refusal(answer)
        return answer


def _text(options: Mapping[str, Any], name: str) -> str:
    value = options.get(name) or ""
    if not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]*", value):
        raise ConfigurationError(f"{name} must be a text of plain characters.")
    return value.strip()


def _address(options: Mapping[str, Any], name: str, default: str) -> str:
    return check_base_url(options.get(name) or default, option=name)


# What the server gives


class _Secret(msgspec.Struct):
    """An answer with secrets in it, of which no ``repr`` shows anything."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # what Rich would print in a traceback
        return []


class _TokenAnswer(_Secret):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a kind, not a secret
    refresh_token: str | None = None
    expires_in: Any = None
    scope: Any = None


class _DeviceAnswer(_Secret):
    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None = None
    expires_in: Any = None
    interval: Any = None


def _grant(answer: Answer) -> Grant:
    found = _decode(answer, _TokenAnswer)
    refresh = found.refresh_token or ""
    given = [found.access_token, refresh] if refresh else [found.access_token]
    if found.token_type.lower() != "bearer" or not all(_is_token(one) for one in given):
        raise _not_understood(answer)
    scope = found.scope if isinstance(found.scope, str) else ""
    return Grant(found.access_token, refresh, lifetime(found.expires_in), scope[:500])


def _device_code(answer: Answer) -> DeviceCode:
    found = _decode(answer, _DeviceAnswer)
    url = found.verification_uri_complete or found.verification_uri
    if not _is_token(found.device_code) or not re.fullmatch(r"[\x21-\x7e]{1,64}", found.user_code) or not _is_site(url):
        raise _not_understood(answer)
    seconds = min(max(_number(found.expires_in) or 600, 1), 1800)
    return DeviceCode(found.device_code, found.user_code, url, seconds, min(max(_number(found.interval) or 5, 1), 60))


def lifetime(told: object) -> int:
    """Return the seconds that an access token lasts, from whatever ``expires_in`` says."""
    seconds = _number(told)
    return UNKNOWN_LIFE if seconds is None or seconds <= 0 else min(max(seconds, SHORTEST_LIFE), LONGEST_LIFE)


def _number(told: object) -> int | None:
    """Read a number, or a text of one, as some servers send it. None for anything else."""
    if isinstance(told, str) and re.fullmatch(r"-?[0-9]{1,12}", told):
        return int(told)
    if isinstance(told, bool) or not isinstance(told, int | float) or told != told:
        return None
    return int(min(max(told, -1), 10**12))


def _is_token(value: str) -> bool:
    """Say whether this can stand in a header (RFC 6750 §2.1: visible ASCII)."""
    return len(value) <= LONGEST_TOKEN and re.fullmatch(r"[\x21-\x7e]+", value) is not None


def _is_site(url: str) -> bool:
    """Say whether a person can be sent there: a web address without anything that a terminal would obey."""
    if len(url) > 500 or not re.fullmatch(r"[\x21-\x7e]+", url):
        return False
    parts = urlsplit(url)
    try:
        check_base_url(f"{parts.scheme}://{parts.netloc}")
    except ConfigurationError:
        return False
    return True


def _decode(answer: Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _not_understood(answer) from None


# What it refuses: the table from an OAuth error to ours. What is not in it is an error that passes.

_CLIENT = "the client id or the client secret is not accepted"
_REFUSALS: dict[str, tuple[type[RemoteError], str]] = {
    "invalid_grant": (GrantRefused, "the code or the refresh token is not valid (any more)"),
    "expired_token": (GrantRefused, "nobody consented in time"),
    "access_denied": (GrantRefused, "the consent was refused"),
    "invalid_client": (AuthenticationFailed, _CLIENT),
    "unauthorized_client": (AuthenticationFailed, "the application may not do this: check its OAuth settings"),
    "unsupported_grant_type": (AuthenticationFailed, "the application may not do this: check its OAuth settings"),
    "invalid_scope": (AuthenticationFailed, "the application may not have this scope"),
}


def _refusal(answer: Answer) -> RemoteError:
    code = _error_code(answer)
    if code in ("authorization_pending", "slow_down"):
        return answer.error(StillWaiting, "the person has not answered yet", code=code, retry_after=5.0)
    if code in _REFUSALS:
        kind, reason = _REFUSALS[code]
        return answer.error(kind, reason, code=code)
    if answer.status in (401, 403):
        return answer.error(AuthenticationFailed, _CLIENT, code=f"oauth_{answer.status}")
    return answer.error(RemoteUnavailable, "a refusal that OAuth 2 does not have", code=f"oauth_{answer.status}")


def _error_code(answer: Answer) -> str:
    """Return OAuth's ``error``, or Okta's ``errorCode``; empty for every other shape (a list, HTML, nothing)."""
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    code = (found.get("error") or found.get("errorCode")) if isinstance(found, dict) else ""
    return code if isinstance(code, str) else ""


def _not_understood(answer: Answer) -> RemoteError:
    return answer.error(RemoteUnavailable, "the answer is not one that OAuth 2 has", code=answer.flaw or "malformed")


def _passing(error: RemoteError) -> RemoteError:
    """Return an error of the transport as one that passes: a grant is given up for ``invalid_grant`` alone."""
    if isinstance(error, RemoteUnavailable):
        return error
    return RemoteUnavailable(
        error.reason,
        code=error.code,
        method=error.method,
        path=error.path,
        status=error.status,
        request_id=error.request_id,
    )
