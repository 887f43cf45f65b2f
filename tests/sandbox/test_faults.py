"""Every kind of fault, as a client sees it, and whether the account did what was asked."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
import zlib

import pytest
import requests

from django_ctct.sandbox.faults import Kind
from tests.sandbox.caller import Caller, contact, entry
from tests.sandbox.conftest import ACTIVE


def raw_put(api: Caller, lists: list[int], timeout: float = 5) -> bytes:
    """PUT contact 1 over a bare socket and return all bytes that come."""
    body = entry(contact(lists=lists)).encode()
    head = (
        "PUT /ws/customers/acme/contacts/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Authorization: Bearer sandbox-token\r\nContent-Type: application/atom+xml\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return api.raw(head.encode() + body, timeout)


def raw_get(api: Caller, path: str) -> bytes:
    return api.raw(
        f"GET /ws/customers/acme/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Authorization: Bearer sandbox-token\r\nConnection: close\r\n\r\n".encode()
    )


def wait_for(condition: object, seconds: float = 3) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def test_a_status_is_answered_without_applying(scene: Caller) -> None:
    scene.fault(match="PUT */contacts/*", kind="status", status=503, headers={"Retry-After": "7"}, times=2)
    for _ in range(2):
        answer = scene.put(ACTIVE, lists=[2])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert scene.person()["lists"] == ["Free members"]
    assert scene.put(ACTIVE, lists=[2]).status_code == 204


def test_a_status_may_be_a_lie(scene: Caller) -> None:
    scene.fault(kind="status", status=500, apply=True, body="oops")
    answer = scene.put(ACTIVE, lists=[2])
    assert (answer.status_code, answer.text) == (500, "oops")
    assert scene.person()["lists"] == ["Sustainers"]
    assert (scene.requests()[-1]["status"], scene.requests()[-1]["applied"]) == (500, 204)


def test_a_fault_meets_only_what_it_matches(scene: Caller) -> None:
    scene.fault(match="DELETE *", kind="status", status=500)
    scene.fault(match="GET */contacts?email=*", kind="status", status=501)
    assert scene.get("contacts").status_code == 200
    assert scene.get("contacts?email=a%40example.com").status_code == 501
    assert scene.delete(ACTIVE).status_code == 500


@pytest.mark.parametrize("apply", [False, True])
def test_a_timeout_is_silence(scene: Caller, apply: bool) -> None:
    scene.fault(kind="timeout", seconds=0.3, apply=apply)
    started = time.monotonic()
    assert raw_put(scene, [2]) == b""
    assert 0.25 < time.monotonic() - started < 2
    assert scene.person()["lists"] == (["Sustainers"] if apply else ["Free members"])
    assert scene.requests()[-1]["status"] is None


@pytest.mark.parametrize(
    ("kind", "lists"),
    [("reset", ["Free members"]), ("reset_before", ["Free members"]), ("reset_after", ["Sustainers"])],
)
def test_a_reset_is_a_reset(scene: Caller, kind: str, lists: list[str]) -> None:
    scene.fault(kind=kind)
    with pytest.raises(ConnectionResetError):
        raw_put(scene, [2])
    assert scene.person()["lists"] == lists


def test_requests_sees_a_reset_as_a_connection_error_and_goes_on(scene: Caller) -> None:
    assert scene.get("lists").status_code == 200
    scene.fault(kind="reset")
    with pytest.raises(requests.ConnectionError):
        scene.put(ACTIVE)
    assert scene.get("lists").status_code == 200


def test_a_truncated_answer_is_shorter_than_it_says(scene: Caller) -> None:
    scene.fault(kind="truncate")
    head, _, body = raw_get(scene, "contacts/1").partition(b"\r\n\r\n")
    (length,) = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    assert 0 < len(body) < length


def test_a_truncated_answer_to_a_put_has_half_a_head_and_is_applied(scene: Caller) -> None:
    scene.fault(kind="truncate")
    data = raw_put(scene, [2])
    assert data
    assert b"\r\n\r\n" not in data
    assert scene.person()["lists"] == ["Sustainers"]


def test_a_drip_takes_its_time_and_never_pauses_long(scene: Caller) -> None:
    scene.fault(kind="drip", seconds=0.5)
    started = time.monotonic()
    answer = scene.get("contacts/1", timeout=(1, 0.3))
    assert answer.text.endswith("</entry>")
    assert 0.4 < time.monotonic() - started < 4


def test_garbage_is_a_200_that_means_nothing(scene: Caller) -> None:
    scene.fault(kind="garbage")
    answer = scene.put(ACTIVE, lists=[2])
    assert answer.status_code == 200
    assert len(answer.content) == 2048
    assert scene.person()["lists"] == ["Free members"]


def test_a_redirect_turns_a_followed_put_into_a_get_that_succeeds(scene: Caller) -> None:
    scene.fault(kind="redirect", match="PUT *")
    answer = scene.send("PUT", "contacts/1", entry(contact(lists=[2])), allow_redirects=True)
    assert answer.status_code == 200
    assert [each["method"] for each in scene.requests()] == ["PUT", "GET"]
    assert scene.person()["lists"] == ["Free members"]


def test_a_redirect_may_lead_elsewhere(scene: Caller) -> None:
    scene.fault(kind="redirect", status=307, headers={"Location": "http://evil.example.com/"})
    answer = scene.get("lists")
    assert (answer.status_code, answer.headers["Location"]) == (307, "http://evil.example.com/")


def test_a_late_request_lands_after_its_connection_was_reset(scene: Caller) -> None:
    scene.fault(kind="late", seconds=0.2, match="PUT *")
    with pytest.raises(ConnectionResetError):
        raw_put(scene, [2])
    assert scene.person()["lists"] == ["Free members"]
    assert scene.state()["landing"] == 1
    assert scene.put(ACTIVE, lists=[3]).status_code == 204
    wait_for(lambda: scene.person()["lists"] == ["Sustainers"])
    wait_for(lambda: scene.state()["landing"] == 0)
    assert (scene.requests()[0]["status"], scene.requests()[0]["applied"]) == (None, 204)


def test_a_late_request_never_lands_in_a_fresh_account(scene: Caller) -> None:
    scene.fault(kind="late", seconds=0.1)
    with pytest.raises(ConnectionResetError):
        raw_put(scene, [2])
    scene.control("reset", {"contacts": [{"email": "ada@example.com", "lists": ["A", "B"]}]})
    wait_for(lambda: scene.state()["landing"] == 0)
    assert scene.person()["lists"] == ["A", "B"]


def test_a_late_request_may_hold_the_line(scene: Caller) -> None:
    scene.fault(kind="late", seconds=0.2, hold=True)
    started = time.monotonic()
    assert scene.put(ACTIVE, lists=[2]).status_code == 204
    assert time.monotonic() - started > 0.18


def test_a_gzip_bomb_is_small_on_the_wire_and_huge_unpacked(scene: Caller) -> None:
    scene.fault(kind="gzip_bomb", size=8_000_000)
    with scene.get("contacts", stream=True, headers={"Accept-Encoding": "identity"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        packed = answer.raw.read(decode_content=False)
    assert len(packed) < 20_000
    assert len(zlib.decompress(packed, 31)) > 7_900_000


def test_an_xml_bomb_has_entities_that_multiply(scene: Caller) -> None:
    scene.fault(kind="xml_bomb")
    answer = scene.get("contacts")
    assert "<!DOCTYPE" in answer.text
    assert answer.text.count("<!ENTITY") == 10
    assert len(answer.content) < 2000


@pytest.mark.parametrize(
    ("kind", "sign"), [("deep_xml", b"<a><a>"), ("siblings", b"<entry/><entry/>"), ("huge", b"xxxxxx")]
)
def test_endless_documents_are_streamed_to_their_size(scene: Caller, kind: str, sign: bytes) -> None:
    scene.fault(kind=kind, size=1_000_000)
    body = scene.get("contacts").content
    assert 990_000 < len(body) < 1_010_000
    assert sign in body
    assert body.endswith(b"</feed>")


def test_a_bomb_stops_when_the_client_leaves_and_never_fills_the_memory(scene: Caller) -> None:
    scene.fault(kind="huge", size=512 * 1024 * 1024)
    tracemalloc.start()
    with scene.get("contacts", stream=True) as answer:
        answer.raw.read(5_000_000)
    scene.get("lists")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000


def test_a_wrong_length_leaves_bytes_over(scene: Caller) -> None:
    scene.fault(kind="wrong_length")
    head, _, body = raw_get(scene, "contacts/1").partition(b"\r\n\r\n")
    (length,) = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    assert len(body) > length


def test_a_wrong_charset_is_not_what_the_header_says(scene: Caller) -> None:
    scene.fault(kind="wrong_charset")
    answer = scene.get("contacts/1")
    assert "charset=utf-8" in answer.headers["Content-Type"]
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode("utf-8")
    assert "ada@example.com" in answer.content.decode("utf-16")


@pytest.mark.parametrize("kind", sorted(Kind))
def test_every_kind_leaves_the_sandbox_well_and_in_the_log(scene: Caller, kind: str) -> None:
    scene.fault(kind=kind, seconds=0.02, size=100_000)
    with contextlib.suppress(requests.RequestException):
        scene.put(ACTIVE, lists=[2])
    assert scene.requests()[-1]["fault"] == kind
    assert scene.get("contacts/1").status_code == 200


def test_a_rate_is_repeatable_and_near_to_what_it_says(scene: Caller) -> None:
    def run() -> list[int]:
        scene.control("faults", method="DELETE")
        scene.fault(kind="status", rate=0.3, seed=7)
        return [scene.get("lists").status_code for _ in range(60)]

    first = run()
    assert run() == first
    assert 8 <= first.count(503) <= 28


def test_a_fault_strikes_once_unless_told_otherwise(scene: Caller) -> None:
    scene.fault(kind="status")
    assert [scene.get("lists").status_code for _ in range(2)] == [503, 200]
    scene.fault(kind="status", times=None)
    assert [scene.get("lists").status_code for _ in range(3)] == [503] * 3


def test_faults_are_listed_and_cleared(scene: Caller) -> None:
    scene.control("faults", [{"kind": "status", "times": 3}, {"kind": "reset", "match": "POST *"}])
    scene.get("lists")
    shown = scene.control("faults", method="GET")["faults"]
    assert [(each["kind"], each["left"], each["struck"]) for each in shown] == [("status", 2, 1), ("reset", 1, 0)]
    scene.control("faults", method="DELETE")
    assert scene.control("faults", method="GET") == {"faults": []}
    assert scene.get("lists").status_code == 200


def test_faults_never_touch_the_controls_or_the_page(scene: Caller) -> None:
    scene.fault(kind="reset", times=None)
    assert scene.state()["lists"]
    assert requests.get(scene.running.url + "/", timeout=5).status_code == 200
