"""The connection: keep-alive, bodies, and how a sandbox starts and ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

import django_ctct.sandbox as sandbox_package
from django_ctct.sandbox import Account, Credentials, Switches, serve
from django_ctct.sandbox.__main__ import main
from tests.sandbox.caller import ATOM_TYPE, Caller, contact, entry

AUTH = b"Authorization: Bearer sandbox-token\r\n"


def test_one_connection_serves_many_requests_errors_included(scene: Caller) -> None:
    """Send everything at once on one socket: answers stay in step only if every body is read."""
    body = entry(contact(address="ada@example.com")).encode()
    atom = b"Content-Type: application/atom+xml\r\n"
    size = b"Content-Length: %d\r\n" % len(body)
    base = b" /ws/customers/acme/"
    host = b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    stream = (
        b"POST"
        + base
        + b"contacts"
        + host
        + atom
        + size
        + b"\r\n"
        + body  # 401
        + b"POST"
        + base
        + b"contacts"
        + host
        + AUTH
        + size
        + b"\r\n"
        + body  # 415
        + b"PUT"
        + base
        + b"contacts/9"
        + host
        + AUTH
        + atom
        + size
        + b"\r\n"
        + body  # 404
        + b"POST"
        + base
        + b"contacts"
        + host
        + AUTH
        + atom
        + size
        + b"\r\n"
        + body  # 409
        + b"HEAD"
        + base
        + b"contacts"
        + host
        + AUTH
        + b"\r\n"  # 415, no body
        + b"PUT"
        + base
        + b"contacts/1"
        + host
        + AUTH
        + atom
        + size
        + b"\r\n"
        + body  # 204
        + b"GET"
        + base
        + b"contacts/1"
        + host
        + AUTH
        + b"Connection: close\r\n\r\n"  # 200
    )
    data = scene.raw(stream)
    assert [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]] == [401, 415, 404, 409, 415, 204, 200]


def test_a_session_keeps_its_connection_after_errors(scene: Caller) -> None:
    scene.get("contacts/9")
    scene.post()
    scene.put(1)
    scene.get("lists")
    pools = scene.session.get_adapter("http://").poolmanager.pools  # type: ignore[attr-defined]
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 -- it has no iterator


def test_a_204_has_no_length_and_all_others_have_one(scene: Caller) -> None:
    assert "Content-Length" not in scene.put(1).headers
    for answer in (scene.get("contacts/1"), scene.get("contacts/9"), scene.get("lists")):
        assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_a_body_of_more_than_two_mebibytes_is_413(api: Caller) -> None:
    answer = api.send("POST", "contacts", b"x" * (2 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert api.get("lists").status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Transfer-Encoding: chunked", 411),
        (b"Content-Length: x", 400),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 1\r\nContent-Length: 2", 400),
    ],
)
def test_a_body_without_a_plain_length_is_refused_and_the_line_closed(api: Caller, header: bytes, status: int) -> None:
    data = api.raw(b"POST /ws/customers/acme/contacts HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\n\r\n0\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in data


def test_many_clients_at_once_get_ids_of_their_own(api: Caller) -> None:
    def create(number: int) -> int:
        url, auth = api.base + "contacts", {"Authorization": "Bearer sandbox-token", **ATOM_TYPE}
        body = entry(contact(address=f"p{number}@example.com"))
        return requests.post(url, data=body, headers=auth, timeout=10).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(create, range(100))) == {201}
    assert sorted(each["id"] for each in api.state()["contacts"]) == list(range(1, 101))


def test_one_address_posted_by_many_at_once_is_created_once(api: Caller) -> None:
    def create(_: int) -> int:
        headers = {"Authorization": "Bearer sandbox-token", **ATOM_TYPE}
        return requests.post(api.base + "contacts", data=entry(contact()), headers=headers, timeout=10).status_code

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, range(32))) == [201] + [409] * 31


def test_a_closed_sandbox_answers_nobody() -> None:
    with serve() as running, requests.Session() as session:
        assert session.get(running.url + "/", timeout=5).status_code == 200
        running.close()
        with pytest.raises(requests.ConnectionError):
            session.get(running.url + "/", timeout=5)


def test_closing_wakes_a_waiting_fault() -> None:
    with serve() as running:
        caller = Caller(running)
        caller.fault(kind="timeout", seconds=60)
        failed = threading.Event()

        def call() -> None:
            with pytest.raises(requests.ConnectionError):
                caller.get("lists")
            failed.set()

        thread = threading.Thread(target=call)
        thread.start()
        while not caller.requests():
            pass
        running.close()
        thread.join(5)
        caller.session.close()
        assert failed.is_set()


def test_a_sandbox_takes_an_account_and_credentials() -> None:
    account = Account(Credentials(username="roses", access_token="t"), Switches(page_size=7))
    with serve(account=account) as running:
        assert running.account is account
        url = f"{running.url}/ws/customers/roses/lists"
        assert requests.get(url, headers={"Authorization": "Bearer t"}, timeout=5).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_a_host_that_others_can_reach_needs_a_flag(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        serve(host=host)


def test_an_open_host_is_possible_when_flagged() -> None:
    with serve(host="0.0.0.0", allow_remote=True) as running:
        port = urlsplit(running.url).port
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 200


def test_the_package_exports_what_it_says() -> None:
    assert sorted(sandbox_package.__all__) == ["Account", "Credentials", "RunningSandbox", "Switches", "serve"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_and_ends_in_order(end: signal.Signals) -> None:
    command = [sys.executable, "-m", "django_ctct.sandbox", "--port", "0", "--switch", "email_miss=error"]
    command += ["--contact", "ada@example.com:Free members,News"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        state = requests.get(url + "/_sandbox/state", timeout=5).json()
        process.send_signal(end)
        rest = process.stdout.read()
        assert process.wait(5) == 0
        assert process.stderr.read() == ""
    assert state["contacts"][0]["lists"] == ["Free members", "News"]
    assert state["switches"]["email_miss"] == "error"
    assert "sandbox-token" in rest


@pytest.mark.parametrize(
    "arguments",
    [["--switch", "nothing=1"], ["--switch", "x"], ["--contact", "nobody"], ["--host", "0.0.0.0"], ["--port", "99999"]],
)
def test_a_command_that_cannot_start_says_why(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", *arguments]) == 2
    assert "cannot start" in capsys.readouterr().err


def test_a_taken_port_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert "cannot start" in capsys.readouterr().err
