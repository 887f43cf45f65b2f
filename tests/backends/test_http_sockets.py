"""The manners on a real socket: deadlines, caps and broken connections, with time and memory measured."""

from __future__ import annotations

import gzip
import io
import logging
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import BaseBackend, NoGate
from django_ctct.backends.http import Call, Transport
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.exceptions import AmbiguousWrite, MalformedResponse, RemoteError, RemoteUnavailable, TransientError

from .certificates import context_with, self_signed
from .cost import MIB, cost_of
from .scripted import Play, Scripted, answer, drip, reset, scripted, silence

READ = Call("GET", "/things/{id}")
WRITE = Call("PUT", "/things/{id}")
DEADLINE = 0.6


@contextmanager
def talking_to(play: Play, seconds: float = DEADLINE) -> Iterator[Transport]:
    with scripted(play) as server:
        transport = Transport(server.url, authorize=lambda request: request, gate=NoGate(), total_seconds=seconds)
        try:
            yield transport
        finally:
            transport.close()


def failure(transport: Transport, call: Call = READ) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        transport.send(call, transport.url("things", "1"), body=b"x" if call.writes else None)
    return caught.value


def outcome(transport: Transport, call: Call) -> tuple[type[RemoteError] | None, str]:
    """Tell the error of a call and its code; or None and the flaw, of a write that was answered 2xx."""
    try:
        return None, transport.send(call, transport.url("things", "1")).flaw
    except RemoteError as error:
        return type(error), error.code


DRIPS = [
    ("the status line", b"", b"H"),
    ("a header's name", b"HTTP/1.1 200 OK\r\n", b"X"),
    ("whole headers", b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    ("continues", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("a counted body", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"),
    ("a body without an end", b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ("a chunked body", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ("a refusal's body", b"HTTP/1.1 500 No\r\n\r\n", b"x"),
]


@pytest.mark.parametrize(("head", "endless"), [row[1:] for row in DRIPS], ids=[row[0] for row in DRIPS])
def test_a_server_that_drips_is_left_at_the_deadline(head: bytes, endless: bytes) -> None:
    for call in (READ, WRITE):
        with talking_to(drip(head, endless)) as transport:
            began = time.monotonic()
            failed, code = outcome(transport, call)
            assert time.monotonic() - began < DEADLINE + 0.3
        assert code in {"deadline", "http_500"}
        assert failed in {None, AmbiguousWrite if call.writes else RemoteUnavailable}
        assert call.writes or failed


def test_a_server_that_floods_without_an_end_is_left_at_the_deadline() -> None:
    with talking_to(drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500, seconds=0)) as transport:
        began = time.monotonic()
        assert failure(transport).code == "deadline"
        assert time.monotonic() - began < DEADLINE + 0.3


def test_a_silent_server_is_left_at_the_deadline() -> None:
    with talking_to(silence) as transport:
        began = time.monotonic()
        assert isinstance(failure(transport, WRITE), AmbiguousWrite)
        assert time.monotonic() - began < DEADLINE + 0.3


def test_the_deadline_is_for_each_request_of_a_session() -> None:
    def play(connection: socket.socket, over: object) -> None:
        time.sleep(0.2)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with scripted(play) as server:
        transport = Transport(server.url, authorize=lambda request: request, gate=NoGate(), total_seconds=DEADLINE)
        for _ in range(5):
            assert transport.send(READ, transport.url("things", "1")).body == b"ok"
        transport.close()
    assert server.connections == 1


@pytest.mark.parametrize(
    "play",
    [
        answer("Content-Length: 100", body=b"short"),
        answer("Transfer-Encoding: chunked", body=b"5\r\nshort\r\n"),
        answer("Transfer-Encoding: chunked", body=b"ff\r\nshort"),
    ],
    ids=["counted", "between chunks", "within a chunk"],
)
def test_a_truncated_answer_proves_nothing(play: Play) -> None:
    with talking_to(play) as transport:
        error = failure(transport)
        assert (type(error), error.code) == (RemoteUnavailable, "truncated")
        assert transport.send(WRITE, transport.url("things", "1")).flaw == "truncated"


def test_a_reset_after_a_write_is_ambiguous() -> None:
    with talking_to(reset) as transport:
        assert isinstance(failure(transport), RemoteUnavailable)
        assert isinstance(failure(transport, WRITE), AmbiguousWrite)


def test_a_refused_connection_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    transport = Transport(url, authorize=lambda request: request, gate=NoGate())
    error = failure(transport, WRITE)
    assert (type(error), error.code) == (RemoteUnavailable, "unreachable")


def test_a_server_that_takes_no_connection_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as busy:
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(busy.getsockname())
        url = f"http://127.0.0.1:{busy.getsockname()[1]}"
        transport = Transport(url, authorize=lambda request: request, gate=NoGate(), total_seconds=0.3)
        began = time.monotonic()
        error = failure(transport, WRITE)
        for one in filling:
            one.close()
    assert (type(error), error.code) == (RemoteUnavailable, "connect_timeout")
    assert time.monotonic() - began < 0.8


@pytest.mark.parametrize(("play", "code"), [(answer(body=b"plain"), "tls"), (silence, "deadline")])
def test_no_secure_connection_sent_nothing(play: Play, code: str) -> None:
    with scripted(play, at_once=True) as server:
        url = server.url.replace("http://", "https://")
        transport = Transport(url, authorize=lambda request: request, gate=NoGate(), total_seconds=DEADLINE)
        error = failure(transport, WRITE)
    assert (type(error), error.code) == (RemoteUnavailable, code)


class TestACertificateThatNobodyVouchesFor:
    """Whoever shows it may be anybody: nothing is said to him, and a write is certain not to have been applied."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return self_signed(tmp_path)

    @pytest.fixture
    def stranger(self, certificate: Path) -> Iterator[Scripted]:
        with scripted(answer(body=b"ok"), tls=context_with(certificate)) as server:
            yield server
            assert server.connections > 0
            assert server.requests == []

    def test_the_server_is_one_that_who_trusts_it_can_talk_to(self, certificate: Path) -> None:
        with scripted(answer(body=b"ok"), tls=context_with(certificate)) as server:
            assert requests.get(server.url, verify=certificate, timeout=5).content == b"ok"
        assert len(server.requests) == 1

    @pytest.mark.parametrize("call", [READ, WRITE])
    @pytest.mark.parametrize("name", ["", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_it_is_refused_whatever_the_environment_trusts(
        self, stranger: Scripted, certificate: Path, call: Call, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for one in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(one, raising=False)
        if name:
            monkeypatch.setenv(name, str(certificate))
        transport = Transport(stranger.url, authorize=lambda request: request, gate=NoGate())
        error = failure(transport, call)
        transport.close()
        assert (type(error), error.code) == (RemoteUnavailable, "certificate")
        assert isinstance(error, TransientError)
        assert str(error) == f"{call.method} /things/{{id}}: the server's certificate is not valid"

    @pytest.mark.parametrize("wire", ["v1", "v3"])
    def test_neither_address_nor_token_is_told(
        self, stranger: Scripted, wire: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = {"base_url": stranger.url, "access_token": "canary-token"}
        backend: BaseBackend = JSONBackend(options) if wire == "v3" else AtomBackend({"username": "acme", **options})
        with caplog.at_level(logging.DEBUG), pytest.raises(RemoteUnavailable) as caught:
            backend.find("canary-kim@example.com")
        backend.close()
        error = caught.value
        told = "".join(traceback.format_exception_only(error)) + repr(vars(error)) + caplog.text
        assert error.code == "certificate"
        assert error.__suppress_context__, "what the libraries say holds the address"
        assert "canary" not in told
        assert "127.0.0.1" not in told


def test_an_answer_with_two_lengths_is_not_read() -> None:
    with talking_to(answer("Content-Length: 3", "Content-Length: 4", body=b"xxxx")) as transport:
        assert isinstance(failure(transport, WRITE), AmbiguousWrite)


def bomb(megabytes: int) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as out:
        for _ in range(megabytes):
            out.write(bytes(1024 * 1024))
    return packed.getvalue()


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "500 No"])
def test_a_gzip_bomb_is_not_unpacked_not_even_behind_a_redirect(status: str) -> None:
    packed = bomb(300)
    headers = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}", "Location: /elsewhere")
    codes: set[str] = set()
    with talking_to(answer(*headers, body=packed, status=status), seconds=5) as transport:
        took, held = cost_of(lambda: codes.add(failure(transport).code))
    assert codes <= {"encoded", "redirect", "http_500"}
    assert took < 0.5
    assert held < 8 * MIB


@pytest.mark.parametrize("headers", [(), ("Content-Length: 99999999999",)])
def test_a_huge_body_is_left_at_the_cap(headers: tuple[str, ...]) -> None:
    def play(connection: socket.socket, over: object) -> None:
        connection.sendall("\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode())
        for _ in range(300):
            connection.sendall(bytes(1024 * 1024))

    codes: set[str] = set()
    with talking_to(play, seconds=5) as transport:
        took, held = cost_of(lambda: codes.add(failure(transport).code))
    assert codes == {"too_large"}
    assert took < 0.5
    assert held < 8 * MIB


def test_a_redirect_is_not_followed() -> None:
    with scripted(answer("Location: /ws/elsewhere", "Set-Cookie: a=b", status="307 Temporary Redirect")) as server:
        transport = Transport(server.url, authorize=lambda request: request, gate=NoGate())
        for call in (READ, WRITE):
            error = failure(transport, call)
            assert (type(error), error.code) == (MalformedResponse, "redirect")
        transport.close()
    assert len(server.requests) == 2
    assert b"ookie" not in server.requests[1]


def test_the_libraries_say_nothing_of_our_requests_and_all_of_other_peoples(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG), scripted(answer("broken header", body=b"ok")) as server:
        transport = Transport(server.url, authorize=lambda request: request, gate=NoGate())
        transport.send(READ, transport.url("kim@example.com"))
        transport.close()
        assert "kim" not in caplog.text
        requests.get(f"{server.url}/somebody-else", timeout=5)
        assert "somebody-else" in caplog.text


def test_a_netrc_does_not_change_who_we_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``requests`` looks there for a name and a password as soon as it is not told who signs in."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = "Bearer ours"
        return request

    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password theirs\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with scripted(answer(body=b"ok")) as server:
        assert requests.get(server.url, timeout=5).content == b"ok"
        transport = Transport(server.url, authorize=sign, gate=NoGate())
        transport.send(READ, transport.url("things", "1"))
        transport.close()
    theirs, ours = server.requests
    assert b"Authorization: Basic " in theirs, "who reads the file sends what is in it"
    assert b"Authorization: Bearer ours\r\n" in ours
    assert b"Basic " not in ours


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with scripted(answer(body=b"proxy")) as proxy, scripted(answer(body=b"server")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        transport = Transport(server.url, authorize=lambda request: request, gate=NoGate())
        assert transport.send(READ, transport.url("things", "1")).body == b"server"
        transport.close()
    assert not proxy.requests
