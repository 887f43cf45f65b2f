"""A bare v3 caller for the tests: it sends what a test says and reads as little as it can.

It is written from the protocol sheet and must not share a line with the client of the package.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from django_ctct.sandbox import RunningSandbox
from tests.sandbox.caller import Caller

REDIRECT = "http://localhost:8000/callback"
BASIC = ("sandbox-client", "sandbox-secret")
NOBODY = "00000000-0000-4000-8000-000000000000"


def email(address: str = "ada@example.com", permission: str | None = "implicit", **more: object) -> dict[str, object]:
    return {"address": address, **({"permission_to_send": permission} if permission else {}), **more}


@dataclass
class V3:
    running: RunningSandbox
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.headers["Authorization"] = "Bearer sandbox-token"
        self.controls = Caller(self.running)

    # The API

    def send(self, method: str, path: str, document: object = None, **given: Any) -> requests.Response:
        given = {"timeout": 10, "allow_redirects": False, **given}
        if document is not None:
            given["json"] = document
        return self.session.request(method, f"{self.running.url}/v3{path}", **given)

    def get(self, path: str, **params: object) -> requests.Response:
        return self.send("GET", path, params=params)

    def read(self, path: str, **params: object) -> Any:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create(self, address: str | None = "ada@example.com", **more: object) -> requests.Response:
        permission = more.pop("permission", "implicit")
        who = {} if address is None else {"email_address": email(address, permission)}  # type: ignore[arg-type]
        return self.send("POST", "/contacts", {"create_source": "Account", **who, **more})

    def made(self, address: str | None = "ada@example.com", **more: object) -> str:
        answer = self.create(address, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["contact_id"])

    def put(self, uuid: str, source: str = "Account", **more: object) -> requests.Response:
        more.setdefault("email_address", email())
        return self.send("PUT", f"/contacts/{uuid}", {"update_source": source, **more})

    def one(self, uuid: str) -> Any:
        every = "custom_fields,list_memberships,taggings,phone_numbers,street_addresses,notes"
        return self.read(f"/contacts/{uuid}", include=every)

    def activity(self, name: str, document: object) -> Any:
        answer = self.send("POST", f"/activities/{name}", document)
        assert answer.status_code == 201, answer.text
        return self.read(f"/activities/{answer.json()['activity_id']}")

    def addresses(self, **params: object) -> list[str]:
        found = self.read("/contacts", **params)["contacts"]
        return [each.get("email_address", {}).get("address", "") for each in found]

    # The OAuth server

    def authorize(self, **given: object) -> requests.Response:
        params = {
            "client_id": "sandbox-client",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "state": "xyzzy",
            "scope": "contact_data offline_access",
            **given,
        }
        kept = {name: value for name, value in params.items() if value is not None}
        return self.oauth("GET", "authorize", params=kept)

    def code(self, **given: object) -> str:
        self.switch(auto_consent=True)
        return query_of(self.authorize(**given))["code"]

    def token(self, auth: tuple[str, str] | None = BASIC, **form: object) -> requests.Response:
        return self.oauth("POST", "token", data=form, auth=auth)

    def exchange(self, code: str, auth: tuple[str, str] | None = BASIC, **form: object) -> requests.Response:
        given = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, **form}
        return self.token(auth, **given)

    def refresh(self, token: str, auth: tuple[str, str] | None = BASIC, **form: object) -> requests.Response:
        return self.token(auth, grant_type="refresh_token", refresh_token=token, **form)

    def tokens(self, scope: str = "contact_data offline_access") -> Any:
        answer = self.exchange(self.code(scope=scope))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def oauth(self, method: str, name: str, **given: Any) -> requests.Response:
        """Send without the session: its bearer token has no place here."""
        url = f"{self.running.url}/oauth2/default/v1/{name}"
        return requests.request(method, url, timeout=10, allow_redirects=False, **given)

    def with_token(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return self.send("GET", "/contacts", headers=headers).status_code

    # The controls

    def control(self, name: str, given: object = None, method: str = "POST") -> Any:
        return self.controls.control(name, given, method)

    def switch(self, **positions: object) -> None:
        self.control("switches", positions)

    def act(self, do: str, address: str = "ada@example.com", **more: object) -> Any:
        return self.control("act", {"do": do, "email": address, **more})["contact"]

    def wait(self, seconds: float) -> None:
        self.control("clock", {"advance": seconds})

    def list_id(self, name: str = "News") -> str:
        lists = self.control("state", method="GET")["lists"]
        return next(str(each["uuid"]) for each in lists if each["name"] == name)


def query_of(answer: requests.Response) -> dict[str, str]:
    """Return the parameters that a redirect carries."""
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def words(answer: requests.Response) -> str:
    """Return the message of the array shape."""
    (problem,) = answer.json()
    assert set(problem) == {"error_key", "error_message"}
    return str(problem["error_message"])
