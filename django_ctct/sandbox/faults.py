"""The queue of faults: which request meets which mishap, and how often.

It exists so that a client can be hurt on purpose and repeatably: chances come from a seeded generator. It
decides only; ``fault_play`` does the hurting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from threading import Lock
from typing import Any

from django_ctct.sandbox.wire import Request

LONGEST = 300.0
"""Seconds that any fault may last."""
LARGEST = 1024 * 1024 * 1024
"""Bytes that any answer may have once it is unpacked."""


class Kind(StrEnum):
    """Name the mishaps. "Applied" says whether the account still does what was asked."""

    STATUS = "status"  # an error status; not applied
    TIMEOUT = "timeout"  # silence for some seconds, then a closed connection; not applied
    RESET = "reset"  # connection reset; not applied
    RESET_BEFORE = "reset_before"  # the same, said in full
    RESET_AFTER = "reset_after"  # applied, then connection reset
    TRUNCATE = "truncate"  # applied; half of the answer, then a closed connection
    DRIP = "drip"  # applied; the answer byte by byte
    GARBAGE = "garbage"  # 200 with bytes that mean nothing; not applied
    REDIRECT = "redirect"  # 302; not applied
    LATE = "late"  # reset at once, applied some seconds later: a late landing
    GZIP_BOMB = "gzip_bomb"  # a small body that unpacks to a huge one
    XML_BOMB = "xml_bomb"  # entities that multiply
    DEEP_XML = "deep_xml"  # elements nested without end
    SIBLINGS = "siblings"  # elements in a row without end
    HUGE = "huge"  # one text without end
    WRONG_LENGTH = "wrong_length"  # applied; more bytes than Content-Length says
    WRONG_CHARSET = "wrong_charset"  # applied; not the charset that the header says


APPLIED = frozenset({Kind.RESET_AFTER, Kind.TRUNCATE, Kind.DRIP, Kind.LATE, Kind.WRONG_LENGTH, Kind.WRONG_CHARSET})
"""The kinds that always apply the request; the others do so only when told with ``apply``."""

_DEFAULT_SECONDS = {Kind.TIMEOUT: 60.0, Kind.DRIP: 30.0, Kind.LATE: 1.0}
_DEFAULT_SIZE = {
    Kind.GZIP_BOMB: 300 * 1024 * 1024,
    Kind.DEEP_XML: 1_400_000,
    Kind.SIBLINGS: 50_000_000,
    Kind.HUGE: 64 * 1024 * 1024,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Describe one fault; ``times`` is how often it may still strike, ``None`` without end."""

    kind: Kind
    match: str = "*"
    status: int = 503
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    times: int | None = 1
    rate: float = 1.0
    seconds: float = 0.0
    size: int = 0
    apply: bool = False
    hold: bool = False

    def meets(self, request: Request) -> bool:
        """Tell whether ``match``, "METHOD glob" or "glob", is this request; the glob sees path or target."""
        method, blank, glob = self.match.partition(" ")
        if not blank:
            method, glob = "*", self.match
        if not fnmatchcase(request.method, method.upper()):
            return False
        return fnmatchcase(request.path, glob) or fnmatchcase(request.target, glob)


def read_fault(given: Mapping[str, Any]) -> Fault:
    """Read a fault from JSON; raise ``ValueError`` with a sentence for a wrong one."""
    known = {*Fault.__dataclass_fields__, "seed"}
    if strange := sorted(set(given) - known):
        raise ValueError(f"A fault has no {strange[0]!r}; it has: {', '.join(sorted(known))}.")
    kind = _kind(given.get("kind"))
    return Fault(
        kind=kind,
        match=_text(given, "match", "*"),
        status=int(_number(given, "status", 302 if kind is Kind.REDIRECT else 503, 200, 599)),
        headers=_headers(given.get("headers", {})),
        body=None if given.get("body") is None else _text(given, "body", ""),
        times=_times(given),
        rate=_number(given, "rate", 1.0, 0.0, 1.0),
        seconds=_number(given, "seconds", _DEFAULT_SECONDS.get(kind, 0.0), 0.0, LONGEST),
        size=int(_number(given, "size", _DEFAULT_SIZE.get(kind, 0), 0, LARGEST)),
        apply=_flag(given, "apply"),
        hold=_flag(given, "hold"),
    )


def _kind(word: object) -> Kind:
    if word not in {each.value for each in Kind}:
        raise ValueError(f"The kind of a fault is one of: {', '.join(Kind)}.")
    return Kind(str(word))


def _text(given: Mapping[str, Any], name: str, default: str) -> str:
    text = given.get(name, default)
    if not isinstance(text, str):
        raise ValueError(f"The {name} of a fault is a text.")
    return text


def _number(given: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"The {name} of a fault is a number from {low:g} to {high:g}.")
    return float(value)


def _times(given: Mapping[str, Any]) -> int | None:
    """Read how often; a fault with a rate alone has no end, any other strikes once."""
    if given.get("times") is None:
        return None if "times" in given or "rate" in given else 1
    return int(_number(given, "times", 1, 1, 1e9))


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"The {name} of a fault is true or false.")
    return value


def _headers(given: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, dict):
        raise ValueError("The headers of a fault are an object of texts.")
    pairs = tuple((str(name), str(value)) for name, value in given.items())
    if any(sign in name + value for name, value in pairs for sign in "\r\n"):
        raise ValueError("The headers of a fault have no line breaks.")
    return pairs


@dataclass(slots=True)
class _Waiting:
    fault: Fault
    left: int | None
    chance: Random
    struck: int = 0


class Faults:
    """Keep the faults in the order they were added; the first that fits and strikes is played."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = Lock()
        self._seed = seed
        self._waiting: list[_Waiting] = []

    def add(self, fault: Fault, seed: int | None = None) -> None:
        """Queue a fault; ``seed`` makes its chances repeatable on their own."""
        chance = Random(self._seed if seed is None else seed)  # noqa: S311 -- must be repeatable
        with self._lock:
            self._waiting.append(_Waiting(fault, fault.times, chance))

    def strike(self, request: Request) -> Fault | None:
        """Return the fault that this request meets, and count it."""
        with self._lock:
            for waiting in self._waiting:
                if waiting.left == 0 or not waiting.fault.meets(request):
                    continue
                if waiting.chance.random() < waiting.fault.rate:
                    waiting.struck += 1
                    waiting.left = None if waiting.left is None else waiting.left - 1
                    return waiting.fault
        return None

    def as_list(self) -> list[dict[str, Any]]:
        """Return the faults with how often they struck and may still strike, spent ones too."""
        with self._lock:
            return [_shown(waiting) for waiting in self._waiting]

    def clear(self) -> None:
        """Drop every fault."""
        with self._lock:
            self._waiting.clear()


def _shown(waiting: _Waiting) -> dict[str, Any]:
    fault = waiting.fault
    return {
        "match": fault.match,
        "kind": fault.kind.value,
        "status": fault.status,
        "rate": fault.rate,
        "seconds": fault.seconds,
        "size": fault.size,
        "apply": fault.apply or fault.kind in APPLIED,
        "hold": fault.hold,
        "left": waiting.left,
        "struck": waiting.struck,
    }
