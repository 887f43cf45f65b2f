"""A small OAuth server over real HTTP that rotates its refresh tokens and counts what it is asked.

It knows codes with PKCE, refresh tokens, device codes and one protected address, and can be told to answer the
next requests in any other way.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "11111111-2222-3333-4444-555555555555", "canary-client-secret"
LONG = 1200


@dataclass
class Asked:
    """One request, and how it was answered. ``path`` is this server's: ``/token``, ``/device/authorize``."""

    at: float
    form: dict[str, str]
    headers: dict[str, str]
    status: int = 0
    path: str = "/token"

    @property
    def kind(self) -> str:
        return self.form.get("grant_type", "").rpartition(":")[2]


@dataclass
class TokenServer:
    """What the server knows. ``rotating``: a refresh token is good once. ``limit``: one token call a second."""

    url: str = ""
    rotating: bool = True
    limit: bool = False
    refresh_tokens: bool = True
    expires_in: Any = 86_400
    consented: bool = True
    access: set[str] = field(default_factory=set)
    refresh: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    devices: list[dict[str, str]] = field(default_factory=list)
    scripted: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    delay: float = 0.0
    #: What the token endpoint does and then tells nobody: it answers 503.
    lose_answers: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def options(self, **more: Any) -> dict[str, Any]:
        """Return OPTIONS of an account that is connected here."""
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "authorize_url": f"{self.url}/authorize",
            "token_url": f"{self.url}/token",
            "device_url": f"{self.url}/device/authorize",
            **more,
        }

    def grants(self) -> int:
        """Return how many tokens were given."""
        return sum(1 for one in self.asked if one.status == 200)

    def issue(self) -> dict[str, Any]:
        """Make a pair of tokens of the real ones' length."""
        access, refresh = (f"canary-{kind}-" + secrets.token_hex(LONG // 2) for kind in ("access", "refresh"))
        self.access.add(access)
        told: dict[str, Any] = {"token_type": "Bearer", "access_token": access, "scope": "contact_data offline_access"}
        if self.expires_in is not None:
            told["expires_in"] = self.expires_in
        if self.refresh_tokens:
            self.refresh.add(refresh)
            told["refresh_token"] = refresh
        return told

    def consent(self, query: dict[str, str]) -> str:
        """Consent as the owner does in the browser; return where it is sent back to."""
        code = secrets.token_hex(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        with self.lock:
            before = [one.at for one in self.asked]
            self.asked.append(asked)
            if self.limit and before and asked.at - max(before) < 1.0:
                status, told = 429, {"error_key": "throttled", "error_message": "Too Many Requests"}
            else:
                status, told = self._token(asked)
            if status == 200 and self.lose_answers:
                self.lose_answers -= 1
                status, told = 503, {}
            asked.status = status
        return status, told

    def _token(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        basic = asked.headers.get("Authorization")
        if basic is not None and ("client_id" in asked.form or basic != f"Basic {pair}"):
            return 401, {"error": "invalid_client", "error_description": "canary-description"}
        if basic is None and asked.form.get("client_id") != CLIENT_ID:
            return 401, {"errorCode": "invalid_client", "errorSummary": "canary-description"}
        if asked.kind == "authorization_code":
            return self._code(asked.form)
        if asked.kind == "device_code":
            return (200, self.issue()) if self.consented else (400, {"error": "authorization_pending"})
        token = asked.form.get("refresh_token", "")
        if token not in self.refresh:
            return 400, {"error": "invalid_grant", "error_description": "canary-description"}
        if not self.rotating:
            return 200, {**self.issue(), "refresh_token": token}
        self.refresh.clear()
        return 200, self.issue()

    def _code(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        query = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if query is None or query["code_challenge"] != challenge or query["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        return 200, self.issue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        know: TokenServer = self.server.know
        parts = urlsplit(self.path)
        if parts.path == "/authorize":
            goal = know.consent(dict(parse_qsl(parts.query)))
            return self._send(302, {"Location": goal}, b"")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        know.calls.append(token)
        return self._send(200 if token in know.access else 401, {}, b"{}")

    def do_POST(self) -> None:
        know: TokenServer = self.server.know
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if know.delay:
            time.sleep(know.delay)
        if know.scripted:
            know.asked.append(Asked(time.monotonic(), form, dict(self.headers), know.scripted[0][0], self.path))
            return self._send(*know.scripted.pop(0))
        if self.path == "/device/authorize":
            know.devices.append(form | {name: "sent" for name in ["Authorization"] if name in self.headers})
            told = {"device_code": "canary-device", "user_code": "ABCD-EFGH", "interval": 1, "expires_in": 600}
            return self._json(200, {**told, "verification_uri": "https://example.com/activate"})
        return self._json(*know.token(Asked(time.monotonic(), form, dict(self.headers))))

    def _json(self, status: int, told: Any) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def running_server() -> Iterator[TokenServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        http.daemon_threads = True
        know = TokenServer(f"http://127.0.0.1:{http.server_address[1]}")
        http.know = know  # type: ignore[attr-defined]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield know
        finally:
            http.shutdown()
            thread.join()
