"""The pages of the OAuth server: where a person consents, and where one approves a device.

It exists because a grant needs a human once (v3 sheet §1.1). Everything shown is escaped, nothing is loaded,
and a form answers only to the page that showed it. A wrong client or redirect URI is told to the person, never
sent on.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from html import escape
from string import Template
from urllib.parse import parse_qsl, urlencode, urlsplit

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.devices import Devices
from django_ctct.sandbox.grants import Grants
from django_ctct.sandbox.oauth import BASE, read_scopes
from django_ctct.sandbox.wire import Answer, Door, Request, text_answer

_MOST_ASKED = 1000
_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style nonce="$nonce">
:root { color-scheme: light dark }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 34rem; margin: 0 auto; padding: 3rem 1.25rem }
body { overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25 } form { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1.5rem }
button, input { font: inherit; padding: .5rem 1.1rem; border-radius: .45rem; border: 1px solid #8886 }
button { cursor: pointer } .yes { background: #1f5f99; color: #fff; border-color: #1f5f99 }
</style></head><body><main><h1>$title</h1>$body</main></body></html>
""")


@dataclass(frozen=True, slots=True)
class _Asked:
    scopes: frozenset[str]
    redirect_uri: str
    state: str
    challenge: str


class Registered:
    """Know the redirect URIs of the client: those listed, or any of this machine (the default)."""

    def __init__(self, account: Account) -> None:
        self._clear()
        account.at_reset(self._clear)

    def _clear(self) -> None:
        self.uris: tuple[str, ...] | None = None

    def has(self, uri: str) -> bool:
        """Tell whether a redirect URI equals a registered one."""
        return _is_loopback(uri) if self.uris is None else uri in self.uris


def oauth_pages(account: Account, grants: Grants, devices: Devices, registered: Registered) -> Mapping[str, Door]:
    """Return the pages by their names below the base."""
    return {"authorize": ConsentPage(account, grants, registered), "activate": DevicePage(devices)}


class ConsentPage:
    """Answer ``authorize``: GET shows what is asked for, POST allows or refuses it."""

    def __init__(self, account: Account, grants: Grants, registered: Registered) -> None:
        self._account = account
        self._grants = grants
        self._registered = registered
        self._asked: dict[str, _Asked] = {}

    def __call__(self, request: Request) -> Answer:
        """Answer one request of a browser."""
        if request.method == "POST":
            return self._decided(request)
        return self._ask(request) if request.method == "GET" else text_answer(405, "This page knows GET and POST.")

    def _ask(self, request: Request) -> Answer:
        given = _fields(request.query)
        redirect_uri = given.get("redirect_uri", "")
        if given.get("client_id") != self._account.credentials.client_id:
            return _page(400, "This application is not known", "<p>The client_id is missing or wrong.</p>")
        if not self._registered.has(redirect_uri):
            return _page(400, "This redirect URI is not registered", "<p>It must equal one that is.</p>")
        wrong = _wrong_request(given)
        if wrong:
            error = {"error": wrong[0], "error_description": wrong[1]}
            return _redirect(redirect_uri, {**error, "state": given.get("state", "")})
        scopes = read_scopes(given.get("scope", "")) or frozenset()
        asked = _Asked(scopes, redirect_uri, given["state"], given.get("code_challenge", ""))
        return self._allow(asked) if self._account.switches.auto_consent else self._show(asked)

    def _show(self, asked: _Asked) -> Answer:
        number = secrets.token_urlsafe(24)
        with self._account.lock:
            while len(self._asked) >= _MOST_ASKED:
                del self._asked[next(iter(self._asked))]
            self._asked[number] = asked
        rows = "".join(f"<li>{escape(scope)}</li>" for scope in sorted(asked.scopes))
        body = (
            f"<p><b>{escape(self._account.credentials.client_id)}</b> asks for access to the account "
            f"<b>{escape(self._account.credentials.username)}</b>:</p><ul>{rows}</ul>"
            f"<p>You will be sent to {escape(asked.redirect_uri)}.</p>"
            f'<form method="post" action="{BASE}authorize">'
            f'<input type="hidden" name="request" value="{number}">{_BUTTONS}</form>'
        )
        return _page(200, "Connect this account?", body, goes_to=_origin(asked.redirect_uri))

    def _decided(self, request: Request) -> Answer:
        given = _fields(request.body.decode("utf-8", "replace"))
        asked = self._asked.pop(given.get("request", ""), None)
        if asked is None or not _own_page(request):
            return _page(403, "This form is out of date", "<p>Go back to the application and start again.</p>")
        if given.get("decision") == "allow":
            return self._allow(asked)
        error = {"error": "access_denied", "error_description": "The person refused the access."}
        return _redirect(asked.redirect_uri, {**error, "state": asked.state})

    def _allow(self, asked: _Asked) -> Answer:
        code = self._grants.issue_code(asked.scopes, asked.redirect_uri, asked.challenge)
        return _redirect(asked.redirect_uri, {"code": code, "state": asked.state})


class DevicePage:
    """Answer ``activate``: a person types the code that a device shows."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._token = secrets.token_urlsafe(24)

    def __call__(self, request: Request) -> Answer:
        """Answer one request of a browser."""
        if request.method == "POST":
            return self._decided(request)
        return self._show(_fields(request.query).get("user_code", ""))

    def _show(self, code: str) -> Answer:
        body = (
            "<p>Type the code that your device shows.</p>"
            f'<form method="post" action="{BASE}activate"><input type="hidden" name="token" value="{self._token}">'
            f'<input name="user_code" aria-label="Code" value="{escape(code)}">{_BUTTONS}</form>'
        )
        return _page(200, "Connect a device?", body)

    def _decided(self, request: Request) -> Answer:
        given = _fields(request.body.decode("utf-8", "replace"))
        if not (_own_page(request) and compare_digest(given.get("token", "").encode(), self._token.encode())):
            return _page(403, "This form is out of date", "<p>Load the page again.</p>")
        allow = given.get("decision") == "allow"
        if not self._devices.decide(given.get("user_code", ""), allow=allow):
            return _page(400, "No device waits with this code", "<p>It may have expired.</p>")
        return _page(200, "The device is connected" if allow else "The device was refused", "")


_BUTTONS = (
    '<button class="yes" name="decision" value="allow">Allow</button>'
    '<button name="decision" value="refuse">Refuse</button>'
)


def _wrong_request(given: Mapping[str, str]) -> tuple[str, str] | None:
    """Return what is wrong with an authorization request that may be sent back to the client (§1.2)."""
    if given.get("response_type") != "code":
        return "unsupported_response_type", "The response type is code."
    if not given.get("state"):
        return "invalid_request", "The state is missing."
    if read_scopes(given.get("scope", "")) is None:
        return "invalid_scope", "The scope is missing or unknown."
    if "code_challenge" in given and given.get("code_challenge_method") != "S256":
        return "invalid_request", "The code challenge method is S256."
    return None


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, max_num_fields=50))
    except ValueError:
        return {}


def _redirect(uri: str, given: Mapping[str, str]) -> Answer:
    sign = "&" if urlsplit(uri).query else "?"
    where = uri + sign + urlencode({name: value for name, value in given.items() if value})
    return Answer(302, headers=(("Location", where), ("Cache-Control", "no-store")))


def _own_page(request: Request) -> bool:
    """Tell whether a form came from a page of ours, as far as the browser says."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{request.host}":
        return False
    return request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def _is_loopback(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme != "http" or parts.fragment or re.search(r"\s", uri):
        return False
    return host == "localhost" or _is_loopback_address(host)


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(uri: str) -> str:
    """Return scheme, host and port, without a user's name: it goes into a header."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _page(status: int, title: str, body: str, goes_to: str = "") -> Answer:
    nonce = secrets.token_urlsafe(16)
    # A browser holds the redirect after a form to form-action too, so it must name the client's origin.
    targets = " ".join(filter(None, ("'self'", goes_to)))
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; form-action {targets}; base-uri 'none'"
    headers = (
        ("Content-Security-Policy", f"{policy}; frame-ancestors 'none'"),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
    )
    text = _PAGE.substitute(title=escape(title), body=body, nonce=nonce)
    return Answer(status, text.encode(), "text/html;charset=UTF-8", headers)
