"""The v3 door: JSON over HTTP under ``/v3/``, written from the v3 protocol sheet alone.

It exists to put the account behind the new wire. It keeps the order of checks (who calls, how often, where to,
with which right, in which form) and the shapes of errors (§6); the resources stand in modules of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.gate import Over
from django_ctct.sandbox.grants import Access, Grants
from django_ctct.sandbox.json_answers import JSON, NOT_FOUND, Problem, Route, json_answer, refusal_problem
from django_ctct.sandbox.values import Refused
from django_ctct.sandbox.wire import Answer, Request

PREFIX = "/v3/"


class JsonDoor:
    """Answer v3 requests for one account."""

    def __init__(self, account: Account, grants: Grants, routes: Iterable[Route]) -> None:
        self._account = account
        self._grants = grants
        self._routes = tuple(routes)

    def __call__(self, request: Request) -> Answer:
        """Answer one request; never raises for anything that a client can send."""
        with self._account.lock:
            try:
                return self._answer(request)
            except Problem as problem:
                return problem.as_answer()
            except Refused as refused:
                return refusal_problem(refused, self._account.switches).as_answer()

    def _answer(self, request: Request) -> Answer:
        access = self._authenticate(request)
        self._count()
        route, part = self._find(request)
        self._authorise(access, route)
        self._check_form(request)
        return route.verb(request, part)

    def _authenticate(self, request: Request) -> Access:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        access = self._grants.access(token.strip()) if scheme.lower() == "bearer" else None
        if access is None:
            raise Problem(401, "unauthorized", "Unauthorized", alone=True)
        return access

    def _count(self) -> None:
        turned = self._account.gate.admit(self._account.switches)
        if turned is None:
            return
        if turned.over is Over.DAY:
            raise Problem(429, "quota_exceeded", "Limit Exceeded", alone=True)
        raise Problem(429, "throttled", "Too Many Requests", alone=True)

    def _find(self, request: Request) -> tuple[Route, str]:
        path = request.path.removeprefix("/v3")
        found = [(route, match) for route in self._routes if (match := re.fullmatch(route.pattern, path))]
        if not found:
            raise Problem(404, NOT_FOUND, "There is nothing here")
        for route, match in found:
            if route.method == request.method and route.pattern.count("(") == found[0][0].pattern.count("("):
                return route, match[1] if match.groups() else ""
        raise Problem(405, "contacts.api.method_not_allowed", "The method is not supported here")

    def _authorise(self, access: Access, route: Route) -> None:
        if route.scope not in access.scopes:
            raise Problem(403, "contacts.api.forbidden", f"The token does not have the scope {route.scope}")
        if self._account.switches.user_role == "campaign_creator" and route.scope == "contact_data":
            raise Problem(403, "contacts.api.forbidden", "The user does not have the privilege")

    def _check_form(self, request: Request) -> None:
        accepted = request.headers.get("accept", "*/*").lower()
        if not any(each in accepted for each in (JSON, "application/*", "*/*")):
            raise Problem(406, "contacts.api.not_acceptable", "The answer can be JSON only")
        if request.method in ("POST", "PUT") and request.media_type != JSON:
            raise Problem(415, "contacts.api.unsupported_media_type", "The Content-Type must be application/json")


def account_routes(account: Account) -> tuple[Route, ...]:
    """Return what is answered about the account itself."""

    def summary(_request: Request, _: str) -> Answer:
        return json_answer(
            200,
            {
                "contact_email": f"{account.credentials.username}@example.com",
                "country_code": "US",
                "encoded_account_id": account.credentials.username,
                "first_name": "Sandra",
                "last_name": "Box",
                "organization_name": f"{account.credentials.username} (sandbox)",
                "state_code": "MA",
                "time_zone_id": "US/Eastern",
            },
        )

    return (Route("GET", "/account/summary", summary, "account_read"),)


def gateway_forbidden(_: Request) -> Answer:
    """Answer for a path that no wire has: the gateway in front of v3 does (§0)."""
    return json_answer(403, {"message": "Forbidden"})
