"""What an error report shows when something breaks in the middle of a consent or a renewal: no secret, anywhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import django
import pytest
from django.core import mail
from django.db import DatabaseError, connection
from django.test import Client
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter

from django_ctct import tokens
from django_ctct.admin.consent import Brought, Pending
from django_ctct.backends.oauth2 import DeviceCode, Grant, _DeviceAnswer, _TokenAnswer
from tests.admin import builders
from tests.admin.pages import url

from .server import CLIENT_SECRET, TokenServer
from .site import account, expire, store

pytestmark = pytest.mark.django_db
ADMIN: Any = "chief@example.com" if django.VERSION >= (6, 0) else ("Chief", "chief@example.com")


@pytest.fixture(autouse=True)
def admins(settings: Any) -> None:
    settings.ADMINS = [ADMIN]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}


@contextmanager
def disk_full(words: str) -> Iterator[None]:
    """Let the database fail where it is to store something with these words in it."""

    def trouble(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and words in sql:
            raise DatabaseError("disk full")
        return execute(sql, *rest)

    with connection.execute_wrapper(trouble):
        yield


def browser() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(builders.staff("view_account", "connect_account", name="sam"))
    return client


def consented(server: TokenServer, client: Client) -> str:
    """Press the button and consent; return the address with which the browser comes back."""
    goal = client.post(url("account_connect"), {"alias": "default"}).headers["Location"]
    return server.consent(dict(parse_qsl(urlsplit(goal).query)))


def reported(act: Callable[[], object]) -> str:
    """Let an act break, and report that as Django would, as text and as a page."""
    try:
        act()
    except DatabaseError:
        reporter = ExceptionReporter(None, *sys.exc_info())
        return str(reporter.get_traceback_text()) + str(reporter.get_traceback_html())
    raise AssertionError("nothing broke")


def secrets_of(server: TokenServer, back: str = "") -> list[str]:
    """Return all that nobody may read: what was sent, what was given, and the session's own copy."""
    sent = [value for one in server.asked for name, value in one.form.items() if name in _SENT]
    brought = [value for _, value in parse_qsl(urlsplit(back).query)]
    return [*server.access, *server.refresh, *sent, *brought, CLIENT_SECRET, SEALED]


#: How all begins that the vault has sealed.
SEALED = "gAAAA"
_SENT = ("code", "code_verifier", "refresh_token", "device_code")


def test_a_callback_that_breaks_while_it_stores_mails_no_secret(consenting: TokenServer) -> None:
    sam = browser()
    back = consented(consenting, sam)
    handler = AdminEmailHandler(include_html=True)
    logging.getLogger("django.request").addHandler(handler)
    try:
        with disk_full("refreshed_at"):
            answer = sam.get(back, REQUEST_URI=back)
    finally:
        logging.getLogger("django.request").removeHandler(handler)
    assert answer.status_code == 500
    told = " ".join(str(one.body) + " ".join(str(each[0]) for each in one.alternatives) for one in mail.outbox)
    assert "disk full" in told
    assert "_insist" in told
    found = secrets_of(consenting, back)
    assert len(found) == 8
    assert [one[:12] for one in found if one in told] == []


def test_a_callback_that_breaks_while_it_is_looked_at_mails_no_secret(consenting: TokenServer) -> None:
    sam = browser()
    back = consented(consenting, sam)
    with disk_full("consent_state"):
        answer = sam.get(back)
    assert answer.status_code == 500
    told = " ".join(str(one.body) for one in mail.outbox)
    assert "disk full" in told
    assert [one[:12] for one in secrets_of(consenting, back) if one in told] == []


def test_the_address_of_a_callback_keeps_nothing_for_those_who_look_at_the_request(consenting: TokenServer) -> None:
    """Error trackers and middleware read the request itself, and know none of Django's decorators."""
    sam = browser()
    query = urlencode({"code": "canary-code", "state": "canary-state"})
    request = sam.get(f"{url('account_callback')}?{query}", REQUEST_URI=f"/x?{query}").wsgi_request
    shown = (
        repr(request) + repr(request.META) + repr(request.GET) + request.get_full_path() + request.build_absolute_uri()
    )
    assert "canary" not in shown


@pytest.mark.parametrize("act", ["current", "instead_of", "keep"])
def test_a_renewal_that_breaks_while_it_stores_reports_no_secret(joined: TokenServer, act: str) -> None:
    expire()
    given, one = joined.issue(), store()
    grant = Grant(given["access_token"], given["refresh_token"], 60, "")
    acts = {
        "current": one.current,
        "instead_of": partial(one.instead_of, "canary-refused"),
        "keep": partial(tokens.keep, account(), grant, by="chief"),
    }
    with disk_full("refreshed_at"):
        told = reported(acts[act])
    assert "disk full" in told
    assert "_insist" in told
    assert [one[:12] for one in secrets_of(joined) if one in told] == []


def test_no_value_of_a_consent_shows_a_secret_in_its_repr() -> None:
    pending = Pending(state="canary", verifier="canary", alias="default", redirect_uri="r", user="1", at=0.0)
    values = [
        pending,
        Brought("canary", "canary", declined=False),
        _TokenAnswer(access_token="canary", refresh_token="canary"),
        _DeviceAnswer(device_code="canary", user_code="canary", verification_uri="u"),
        DeviceCode("canary", "canary", "u", 1, 1),
    ]
    assert "canary" not in " ".join(repr(one) + str(one) + repr([one]) for one in values)
    assert not [one for one in values if "canary" in repr(list(getattr(one, "__rich_repr__", list)()))]
