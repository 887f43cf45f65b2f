"""The manners: which mishap becomes which error, and what an address may be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import IncompleteRead
from socket import gaierror
from typing import Any

import pytest
import requests
import responses
from urllib3.exceptions import InvalidHeader, MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError

from django_ctct.backends.base import NoGate
from django_ctct.backends.http import Answer, Call, Transport, check_base_url
from django_ctct.exceptions import (
    AmbiguousWrite,
    AuthenticationFailed,
    ConfigurationError,
    MalformedResponse,
    QuotaExhausted,
    RateLimited,
    RemoteConflict,
    RemoteError,
    RemoteUnavailable,
    RequestRejected,
)

URL = "https://api.example.com"
READ = Call("GET", "/things/{id}")
WRITE = Call("PUT", "/things/{id}")


@pytest.fixture(autouse=True)
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def send(call: Call = READ, **more: Any) -> Answer:
    transport = Transport(URL, authorize=lambda request: request, gate=NoGate())
    try:
        return transport.send(call, transport.url("things", "1"), **more)
    finally:
        transport.close()


def failure(wire: responses.RequestsMock, call: Call = READ, **answer: Any) -> RemoteError:
    wire.add(call.method, f"{URL}/things/1", **answer)
    with pytest.raises(RemoteError) as caught:
        send(call)
    assert caught.value.method == call.method
    assert caught.value.path == "/things/{id}"
    return caught.value


STATUSES = [
    (301, MalformedResponse, MalformedResponse, "redirect"),
    (304, MalformedResponse, MalformedResponse, "redirect"),
    (400, RequestRejected, RequestRejected, "http_400"),
    (401, AuthenticationFailed, AuthenticationFailed, "unauthorized"),
    (403, AuthenticationFailed, AuthenticationFailed, "forbidden"),
    (404, RequestRejected, RequestRejected, "http_404"),
    (408, RemoteUnavailable, RemoteUnavailable, "http_408"),
    (409, RemoteConflict, RemoteConflict, "http_409"),
    (410, RequestRejected, RequestRejected, "http_410"),
    (412, RemoteConflict, RemoteConflict, "http_412"),
    (415, RequestRejected, RequestRejected, "http_415"),
    (429, RateLimited, RateLimited, "rate_limited"),
    (500, RemoteUnavailable, AmbiguousWrite, "http_500"),
    (503, RemoteUnavailable, AmbiguousWrite, "http_503"),
    (799, MalformedResponse, AmbiguousWrite, "http_799"),
]


@pytest.mark.parametrize(("status", "on_read", "on_write", "code"), STATUSES)
def test_each_status_becomes_what_the_caller_can_do_next(
    wire: responses.RequestsMock, status: int, on_read: type[RemoteError], on_write: type[RemoteError], code: str
) -> None:
    for call, kind in ((READ, on_read), (WRITE, on_write)):
        error = failure(wire, call, status=status, headers={"X-Mashery-Message-ID": "abc-1"})
        assert (type(error), error.code, error.status, error.request_id) == (kind, code, status, "abc-1")


def test_a_status_that_the_wire_allows_comes_back(wire: responses.RequestsMock) -> None:
    wire.get(f"{URL}/things/1", status=404, body="none")
    answer = send(allow=frozenset({404}))
    assert (answer.status, answer.text) == (404, "none")


def test_a_request_id_that_is_something_else_is_not_repeated(wire: responses.RequestsMock) -> None:
    error = failure(wire, status=400, headers={"X-Request-Id": "kim@example.com"})
    assert "kim" not in str(error)


class TestLimits:
    @pytest.mark.parametrize(
        ("told", "seconds"),
        [({}, 1), ({"Retry-After": "7"}, 7), ({"Retry-After": "0"}, 1), ({"Retry-After": "86400"}, 3600)]
        + [({"Retry-After": odd}, 1) for odd in ("soon", "-5", "1.5", "", "Sun, 99 Nov 2026 10:00:00 GMT")],
    )
    def test_retry_after_is_kept_within_reason(
        self, wire: responses.RequestsMock, told: dict[str, str], seconds: float
    ) -> None:
        error = failure(wire, status=429, headers=told)
        assert isinstance(error, RateLimited)
        assert error.retry_after == seconds

    @pytest.mark.parametrize(("ahead", "least", "most"), [(100, 97, 100), (-100, 1, 1), (9999, 3600, 3600)])
    def test_retry_after_may_be_a_date(
        self, wire: responses.RequestsMock, ahead: int, least: float, most: float
    ) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
        error = failure(wire, status=429, headers={"Retry-After": date})
        assert isinstance(error, RateLimited)
        assert least <= error.retry_after <= most

    @pytest.mark.parametrize(
        "answer",
        [
            {"body": "<h1>Developer Over Qps</h1>"},
            {"headers": {"X-Mashery-Error-Code": "ERR_403_DEVELOPER_OVER_QPS"}},
            {"body": '[{"error_key":"mashery.not.authorized.over.qps"}]'},
        ],
    )
    def test_a_403_for_too_many_a_second_is_told_apart(
        self, wire: responses.RequestsMock, answer: dict[str, Any]
    ) -> None:
        assert isinstance(failure(wire, WRITE, status=403, **answer), RateLimited)

    @pytest.mark.parametrize(
        "answer",
        [
            {"body": "<h1>Developer Over Rate</h1>"},
            {"headers": {"X-Mashery-Error-Code": "ERR_403_DEVELOPER_OVER_RATE"}},
            {"body": '[{"error_key":"mashery.not.authorized.over.ratelimit"}]'},
        ],
    )
    def test_a_403_for_the_days_calls_holds_until_midnight_utc(
        self, wire: responses.RequestsMock, answer: dict[str, Any]
    ) -> None:
        error = failure(wire, status=403, **answer)
        assert isinstance(error, QuotaExhausted)
        left = error.until - datetime.now(UTC)
        assert timedelta(0) < left <= timedelta(days=1)
        assert (error.until.hour, error.until.minute, error.until.utcoffset()) == (0, 0, timedelta(0))

    def test_a_403_of_the_gateway_is_about_the_key_whatever_the_wire_allows(self, wire: responses.RequestsMock) -> None:
        wire.put(f"{URL}/things/1", status=403, headers={"X-Mashery-Error-Code": "ERR_403_DEVELOPER_INACTIVE"})
        with pytest.raises(AuthenticationFailed):
            send(WRITE, allow=frozenset({403}))

    def test_a_403_that_only_talks_of_somebody_over_there_is_no_limit(self, wire: responses.RequestsMock) -> None:
        wire.put(f"{URL}/things/1", status=403, body="Grover has opted out; it is over")
        assert send(WRITE, allow=frozenset({403})).status == 403


POOL: Any = None
REFUSED = requests.ConnectionError(MaxRetryError(POOL, "/", NewConnectionError(POOL, "no")))
NO_NAME = requests.ConnectionError(MaxRetryError(POOL, "/", NameResolutionError("h", POOL, gaierror())))
MISHAPS: list[tuple[str, Exception, str, type[RemoteError]]] = [
    ("refused", REFUSED, "unreachable", RemoteUnavailable),
    ("no such name", NO_NAME, "dns", RemoteUnavailable),
    ("slow to connect", requests.ConnectTimeout(), "connect_timeout", RemoteUnavailable),
    ("a bad certificate", requests.exceptions.SSLError("certificate"), "tls", RemoteUnavailable),
    ("slow to answer", requests.ReadTimeout(), "deadline", AmbiguousWrite),
    ("reset", requests.ConnectionError(ProtocolError("x", ConnectionResetError())), "reset", AmbiguousWrite),
    ("broken off", requests.exceptions.ChunkedEncodingError(IncompleteRead(b"")), "truncated", AmbiguousWrite),
    ("two lengths", InvalidHeader("Content-Length"), "reset", AmbiguousWrite),
    ("a system error", OSError(5, "x"), "reset", AmbiguousWrite),
    ("a strange address", requests.exceptions.InvalidURL("kim@example.com"), "unsendable", RequestRejected),
    ("strange text", UnicodeError("kim@example.com"), "unsendable", RequestRejected),
]


@pytest.mark.parametrize(("mishap", "code", "on_write"), [row[1:] for row in MISHAPS], ids=[row[0] for row in MISHAPS])
def test_each_mishap_becomes_what_the_caller_can_do_next(
    wire: responses.RequestsMock, mishap: Exception, code: str, on_write: type[RemoteError]
) -> None:
    on_read = RequestRejected if on_write is RequestRejected else RemoteUnavailable
    for call, kind in ((READ, on_read), (WRITE, on_write)):
        wire.add(call.method, f"{URL}/things/1", body=mishap)
        transport = Transport(
            URL, authorize=lambda request: request, gate=NoGate(), total_seconds=0 if code == "deadline" else 9
        )
        with pytest.raises(RemoteError) as caught:
            transport.send(call, f"{URL}/things/1")
        assert (type(caught.value), caught.value.code) == (kind, code)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


class TestBodies:
    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            ({"body": b"x", "headers": {"Content-Encoding": "gzip"}}, "encoded"),
            ({"body": b"x" * 101}, "too_large"),
            ({"body": b"", "headers": {"Content-Length": "101"}, "auto_calculate_content_length": False}, "too_large"),
            ({"body": b"xx", "headers": {"Content-Length": "3"}, "auto_calculate_content_length": False}, "truncated"),
        ],
    )
    def test_a_body_that_cannot_be_trusted_fails_a_read_and_flaws_a_write(
        self, wire: responses.RequestsMock, answer: dict[str, Any], code: str
    ) -> None:
        wire.get(f"{URL}/things/1", **answer)
        with pytest.raises(RemoteUnavailable) as caught:
            send(cap=100)
        assert caught.value.code == code
        wire.put(f"{URL}/things/1", **answer)
        written = send(WRITE, cap=100)
        assert (written.flaw, written.body) == (code, b"")

    def test_the_body_of_a_refusal_does_not_matter(self, wire: responses.RequestsMock) -> None:
        error = failure(wire, status=400, body=b"x", headers={"Content-Encoding": "gzip"})
        assert error.code == "http_400"


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            *("https://api.example.com", "https://api.example.com:8443/v3/"),
            *("http://127.0.0.1:8900", "http://localhost/", "http://[::1]:80", "http://127.9.9.9"),
        ],
    )
    def test_https_and_this_machine_are_good(self, url: str) -> None:
        assert check_base_url(url) == url.rstrip("/")

    @pytest.mark.parametrize(
        "url",
        [
            *(
                "http://api.example.com",
                "http://127.0.0.1.example.com",
                "http://localhost.example.com",
                "ftp://localhost",
            ),
            *(
                "api.example.com",
                "",
                None,
                5,
                "https://",
                "https:///x",
                "https://h:x",
                "https://h:99999",
                "https://h:0",
            ),
            *(
                "https://u:secret@h",
                "https://h?secret",
                "https://h#secret",
                "https://h\n",
                "https://h\\x",
                "https://[::1",
            ),
            "http://0.0.0.0",
        ],
    )
    def test_anything_else_is_refused_unshown(self, url: object) -> None:
        with pytest.raises(ConfigurationError, match="base_url") as caught:
            check_base_url(url)
        assert "secret" not in str(caught.value)

    def test_a_segment_cannot_leave_its_place(self) -> None:
        transport = Transport(URL, authorize=lambda request: request, gate=NoGate())
        assert transport.url("a/b", "c?d", query=[("e&", "f=+ ")]) == f"{URL}/a%2Fb/c%3Fd?e%26=f%3D%2B%20"
        for climbing in ("..", ".", ""):
            with pytest.raises(ValueError, match="segment"):
                transport.url(climbing)


def test_the_gate_is_asked_before_each_request_and_may_refuse(wire: responses.RequestsMock) -> None:
    class Shut:
        def acquire(self) -> None:
            raise RateLimited("not now", retry_after=1)

    transport = Transport(URL, authorize=lambda request: request, gate=Shut())
    with pytest.raises(RateLimited):
        transport.send(READ, f"{URL}/things/1")
    assert not wire.calls
