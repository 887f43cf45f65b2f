"""The points at which a drain can die, reached from outside: nothing of the package is patched.

Statements are known by table and columns, as a Django execute wrapper sees them; a commit by ``on_commit``;
reads and writes by a subclass of the real backend; the bytes of a write by Python's audit event. Death is a
real SIGKILL: no ``finally``, no ``atexit``, no rollback of ours.

The order to die stands in a file that ``CTCT_TEST_DEATH`` names, as the name of a point. Who dies takes the
file along, so that each order kills once, whichever child of a worker meets it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import BaseBackend
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.types import Page, Permit, RemoteContact


class Point(StrEnum):
    """A moment of DESIGN §7, in the order of the trip."""

    # The site's half
    SITE_BEFORE_COMMIT = "site before commit"
    SITE_COMMITTED = "site committed, before the kick"
    # The worker's half
    BEFORE_CLAIM = "before the claim"
    CLAIMED = "claimed"
    CLAIM_READ = "claim read"
    BEFORE_READ = "before the read"
    READ = "read"
    ABSORBING = "absorbing, before commit"
    ABSORBED = "absorbed"
    PERMITTING = "permitting, before commit"
    PERMITTED = "permitted"
    BEFORE_SENDING = "before the first byte"
    SENDING = "half sent"
    SENT = "sent, before the answer"
    ANSWERED = "answered"
    CONFIRMING = "confirming, before commit"
    CONFIRMED = "confirmed"


SITE_POINTS = (Point.SITE_BEFORE_COMMIT, Point.SITE_COMMITTED)
DRAIN_POINTS = tuple(one for one in Point if one not in SITE_POINTS)
#: Points that a drain without a write does not pass.
WRITE_POINTS = frozenset(
    {
        Point.PERMITTING,
        Point.PERMITTED,
        Point.BEFORE_SENDING,
        Point.SENDING,
        Point.SENT,
        Point.ANSWERED,
    }
)


def order_file() -> Path:
    return Path(os.environ["CTCT_TEST_DEATH"])


def die_at(point: str) -> None:
    """Kill this process if it was told to die here."""
    if _ordered() == point:
        order_file().unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def _ordered() -> str:
    try:
        return order_file().read_text()
    except FileNotFoundError:
        return ""


# Statements

_COLUMN = r"(?:SET|,) {} = "


def statement(sql: str) -> str:
    """Say which step of the trip a statement is; an empty string for any other."""
    text = re.sub(r'["`]', "", sql)
    # An UPDATE may hold queries of its own before its condition, a SELECT after it.
    parted = text.rpartition(" WHERE ") if text.startswith("UPDATE") else text.partition(" WHERE ")
    head, _, condition = parted

    def sets(*columns: str) -> bool:
        return all(re.search(_COLUMN.format(one), head) for one in columns)

    if text.startswith("INSERT INTO django_ctct_writeattempt"):
        return "permit"
    if text.startswith("UPDATE django_ctct_account") and sets("walk_cursor", "walk_seen"):
        return "page"
    if text.startswith("UPDATE django_ctct_contact"):
        if sets("applied_gen"):
            return "done"
        if sets("lease_token", "attempts") and not sets("error_code"):
            return "claim"
        return "absorb" if sets("seen_at", "status") else ""
    reads = text.startswith("SELECT") and "FROM django_ctct_contact" in head
    return "claim read" if reads and "django_ctct_contact.lease_token = " in condition else ""


_BEFORE = {"claim": Point.BEFORE_CLAIM}
_AFTER = {
    "claim": Point.CLAIMED,
    "claim read": Point.CLAIM_READ,
    "absorb": Point.ABSORBING,
    "permit": Point.PERMITTING,
    "done": Point.CONFIRMING,
}
_COMMITTED = {"absorb": Point.ABSORBED, "permit": Point.PERMITTED, "done": Point.CONFIRMED}


def watch_statements(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """Be a Django execute wrapper."""
    step = statement(sql)
    if step in _BEFORE:
        die_at(_BEFORE[step])
    result = execute(sql, params, many, context)
    if step == "page":
        die_at(on_page(PageMoment.KEEPING))
        transaction.on_commit(partial(die_at, on_page(PageMoment.KEPT)))
    if step in _AFTER:
        die_at(_AFTER[step])
    if step in _COMMITTED:
        transaction.on_commit(partial(die_at, _COMMITTED[step]))
    return result


# Pages of a walk


class PageMoment(StrEnum):
    """A moment of one page of a full pull."""

    READ = "read"
    KEEPING = "kept, before commit"
    KEPT = "kept"


_pages: list[int] = [0]


def on_page(moment: PageMoment, number: int | None = None) -> str:
    """Name a moment of the present page of this process's walk, or of another one. The first page is 1."""
    return f"page {number or _pages[0]} {moment}"


# Bytes

_heads: dict[int, str] = {}


def watch_bytes(event: str, arguments: Any) -> None:
    """Be an audit hook. A write leaves in two pieces, head and body; an opt-out in one."""
    if event != "http.client.send":
        return
    line, data = arguments
    if data.startswith((b"PUT ", b"POST ", b"DELETE ")):
        die_at(Point.BEFORE_SENDING)
        _heads[id(line)] = "write"
        if data.startswith(b"DELETE "):
            _last_piece(line, data)
    elif data.startswith(b"GET "):
        _heads.pop(id(line), None)
    elif id(line) in _heads:
        _last_piece(line, data)


def _last_piece(line: HTTPConnection, data: bytes) -> None:
    """Send a half or the whole by hand before dying there."""
    ordered = _ordered()
    if ordered == Point.SENDING:
        line.sock.sendall(data[: len(data) // 2])
        die_at(Point.SENDING)
    if ordered == Point.SENT:
        line.sock.sendall(data)
        die_at(Point.SENT)


class Mortal(BaseBackend):
    """A real backend, with death at hand. Making one arms the process: that is before the first claim."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if watch_statements not in connection.execute_wrappers:
            connection.execute_wrappers.append(watch_statements)
        arm_bytes()

    def get(self, remote_id: str) -> RemoteContact | None:
        die_at(Point.BEFORE_READ)
        found = super().get(remote_id)
        die_at(Point.READ)
        return found

    def find(self, email: str) -> RemoteContact | None:
        die_at(Point.BEFORE_READ)
        found = super().find(email)
        die_at(Point.READ)
        return found

    def walk(self, lists: Sequence[str], cursor: str = "") -> Iterator[Page]:
        _pages[0] = 0
        for page in super().walk(lists, cursor):  # type: ignore[safe-super]
            _pages[0] += 1
            die_at(on_page(PageMoment.READ))
            yield page

    def create(self, permit: Permit) -> RemoteContact:
        made = super().create(permit)
        die_at(Point.ANSWERED)
        return made

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        super().update(existing, permit)
        die_at(Point.ANSWERED)

    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        super().opt_out(existing, permit)
        die_at(Point.ANSWERED)


class MortalAtom(Mortal, AtomBackend):
    """v1, with death at hand."""


class MortalJSON(Mortal, JSONBackend):
    """v3, with death at hand."""


_armed: list[bool] = []


def arm_bytes() -> None:
    """Add the audit hook once; Python keeps it until the process ends."""
    if not _armed:
        _armed.append(True)
        sys.addaudithook(watch_bytes)
