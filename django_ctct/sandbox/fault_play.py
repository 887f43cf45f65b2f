"""The mishaps themselves, played on a raw connection.

It exists because a fault is below HTTP: resets, silence, half answers. Every one ends by itself, in time and
in memory: bombs are streamed in small pieces and stop when the client hangs up.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Event
from typing import Protocol

from django_ctct.sandbox.faults import APPLIED, Fault, Kind
from django_ctct.sandbox.journal import Logged
from django_ctct.sandbox.wire import Answer, Request, text_answer

_PIECE = 64 * 1024
_ATOM = "application/atom+xml"
_JSON = "application/json"
_JSON_PATHS = ("/v3/", "/oauth2/")


class Line(Protocol):
    """Be the connection that a fault is played on."""

    def send(self, answer: Answer) -> None:
        """Send a proper answer and keep the connection."""

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""

    def reset(self) -> None:
        """Drop the connection so that the client sees a reset."""

    def hang_up(self) -> None:
        """End the connection in order after this answer."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Hold what a mishap plays with: ``respond`` asks the account, ``later`` asks it after some seconds."""

    fault: Fault
    request: Request
    line: Line
    entry: Logged
    respond: Callable[[], Answer]
    later: Callable[[float], None]
    closing: Event


def play(scene: Scene) -> None:
    """Play the fault of a scene on its connection."""
    scene.entry.fault = scene.fault.kind.value
    if scene.fault.apply and scene.fault.kind not in APPLIED:
        scene.respond()
    _PLAYS[scene.fault.kind](scene)


def _speaks_json(scene: Scene) -> bool:
    """Tell whether the request was one of v3, so that its mishap is JSON too."""
    return scene.request.path.startswith(_JSON_PATHS)


def _media(scene: Scene) -> str:
    return _JSON if _speaks_json(scene) else _ATOM


def _status(scene: Scene) -> None:
    fault = scene.fault
    text = f"Error {fault.status}: made by a fault" if fault.body is None else fault.body
    answer = Answer(204) if fault.status == 204 else text_answer(fault.status, text)
    if _speaks_json(scene) and text.startswith(("{", "[")) and answer.body:
        answer = replace(answer, content_type=_JSON)
    scene.entry.status = fault.status
    scene.line.send(answer.with_headers(*fault.headers))


def _timeout(scene: Scene) -> None:
    scene.closing.wait(scene.fault.seconds)
    scene.line.hang_up()


def _reset(scene: Scene) -> None:
    scene.line.reset()


def _reset_after(scene: Scene) -> None:
    scene.respond()
    scene.line.reset()


def _late(scene: Scene) -> None:
    """Land the request later: unseen behind a reset, or answered in the end when told to hold the line."""
    if not scene.fault.hold:
        scene.later(scene.fault.seconds)
        scene.line.reset()
        return
    scene.closing.wait(scene.fault.seconds)
    scene.line.send(_applied(scene))


def _truncate(scene: Scene) -> None:
    answer = _applied(scene)
    data = answer.encode(close=True)
    # With no body to cut, the head itself is cut.
    cut = len(data) - (len(answer.body) + 1) // 2 if answer.body else len(data) // 2
    scene.line.write(data[:cut])
    scene.line.hang_up()


def _drip(scene: Scene) -> None:
    data = _applied(scene).encode(close=True)
    pause = scene.fault.seconds / len(data)
    for position in range(len(data)):
        scene.line.write(data[position : position + 1])
        if scene.closing.wait(pause):
            break
    scene.line.hang_up()


def _garbage(scene: Scene) -> None:
    scene.entry.status = 200
    scene.line.send(Answer(200, os.urandom(2048), _media(scene), scene.fault.headers))


def _redirect(scene: Scene) -> None:
    """Redirect, by default to the very same address: a client that follows turns its PUT into a GET."""
    fault, names = scene.fault, {name.lower() for name, _ in scene.fault.headers}
    scene.entry.status = fault.status
    here = (("Location", f"http://{scene.request.host}{scene.request.target}"),)
    scene.line.send(Answer(fault.status, headers=fault.headers + (() if "location" in names else here)))


def _wrong_length(scene: Scene) -> None:
    answer = _applied(scene)
    length = max(0, len(answer.body) - 10)
    scene.line.write(answer.encode(close=True, length=length) + b"<left over/>")
    scene.line.hang_up()


def _wrong_charset(scene: Scene) -> None:
    answer = _applied(scene)
    twisted = answer.body.decode().encode("utf-16")
    media = f"{answer.content_type.partition(';charset')[0]};charset=utf-8" if answer.body else ""
    scene.line.send(Answer(answer.status, twisted if answer.body else b"", media, answer.headers))


def _applied(scene: Scene) -> Answer:
    answer = scene.respond()
    scene.entry.status = answer.status
    return answer


# Bombs


def _xml_bomb(scene: Scene) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    text = f"<?xml version='1.0'?><!DOCTYPE feed [<!ENTITY e0 \"ha\">{entities}]><feed>&e9;</feed>"
    scene.entry.status = 200
    scene.line.send(Answer(200, text.encode(), _ATOM, scene.fault.headers))


def _gzip_bomb(scene: Scene) -> None:
    _stream(scene, _zipped(scene.fault.size), (("Content-Encoding", "gzip"),))


def _deep_xml(scene: Scene) -> None:
    if _speaks_json(scene):
        depth = max(1, scene.fault.size // 2)
        _stream(scene, _chained(_repeated("[", depth), _repeated("]", depth)))
        return
    depth = max(1, scene.fault.size // 7)
    _stream(scene, _wrapped(_repeated("<a>", depth), _repeated("</a>", depth)))


def _siblings(scene: Scene) -> None:
    if _speaks_json(scene):
        rows = _repeated("{},", max(1, scene.fault.size // 3))
        _stream(scene, _chained(iter((b'{"contacts":[',)), rows, iter((b"{}]}",))))
        return
    _stream(scene, _wrapped(_repeated("<entry/>", max(1, scene.fault.size // 8)), iter(())))


def _huge(scene: Scene) -> None:
    text = _repeated("x" * 1024, max(1, scene.fault.size // 1024))
    if _speaks_json(scene):
        _stream(scene, _chained(iter((b'{"contacts":[{"first_name":"',)), text, iter((b'"}]}',))))
        return
    _stream(scene, _wrapped(iter((b"<title>",)), text, iter((b"</title>",))))


def _stream(scene: Scene, pieces: Iterator[bytes], headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Send pieces in chunked coding until they end, the client leaves or the sandbox closes."""
    scene.entry.status = 200
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers + scene.fault.headers)
    media = f"Content-Type: {_media(scene)}\r\n{extra}"
    head = f"HTTP/1.1 200 OK\r\n{media}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    scene.line.write(head.encode("latin-1", "replace"))
    for piece in pieces:
        if scene.closing.is_set():
            break
        scene.line.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    else:
        scene.line.write(b"0\r\n\r\n")
    scene.line.hang_up()


def _zipped(size: int) -> Iterator[bytes]:
    packer, zeros = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(_PIECE)
    for _ in range(max(1, size // _PIECE)):
        if piece := packer.compress(zeros):
            yield piece
    yield packer.flush()


def _repeated(text: str, times: int) -> Iterator[bytes]:
    unit, per_piece = text.encode(), max(1, _PIECE // len(text))
    for _ in range(times // per_piece):
        yield unit * per_piece
    if times % per_piece:
        yield unit * (times % per_piece)


def _chained(*parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield from part


def _wrapped(*parts: Iterator[bytes]) -> Iterator[bytes]:
    yield b"<?xml version='1.0' encoding='UTF-8'?><feed xmlns=\"http://www.w3.org/2005/Atom\">"
    for part in parts:
        yield from part
    yield b"</feed>"


_PLAYS: dict[Kind, Callable[[Scene], None]] = {
    Kind.STATUS: _status,
    Kind.TIMEOUT: _timeout,
    Kind.RESET: _reset,
    Kind.RESET_BEFORE: _reset,
    Kind.RESET_AFTER: _reset_after,
    Kind.TRUNCATE: _truncate,
    Kind.DRIP: _drip,
    Kind.GARBAGE: _garbage,
    Kind.REDIRECT: _redirect,
    Kind.LATE: _late,
    Kind.GZIP_BOMB: _gzip_bomb,
    Kind.XML_BOMB: _xml_bomb,
    Kind.DEEP_XML: _deep_xml,
    Kind.SIBLINGS: _siblings,
    Kind.HUGE: _huge,
    Kind.WRONG_LENGTH: _wrong_length,
    Kind.WRONG_CHARSET: _wrong_charset,
}
