"""Reads JSON safely and writes it back as it was.

A v3 update sends the document that was read, so whatever we do not understand must survive: unknown members stay
in plain dicts, whole numbers of any size stay whole, and fractions keep their digits (``Decimal``). Of a name that
comes twice in one object the last counts, as for every JSON reader that the server's own answers are made for.

It knows JSON and nothing of contacts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import msgspec

from .atom_document import Breach, Unreadable  # the two words that both wires have for a bad answer

__all__ = ["Breach", "Unreadable", "decode", "encode", "shaped"]

MAX_DEPTH = 32
#: Values and members together. A page of 500 contacts on 50 lists each has some 35,000.
MAX_NODES = 100_000

Shape = TypeVar("Shape")

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(body: bytes) -> object:
    """Read a document. Raise ``Unreadable`` where it is no JSON, ``Breach`` where it is larger or deeper than any."""
    _check_size(body)
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # some of the texts hold values
        raise Unreadable("unreadable", "the answer is not well-formed JSON") from None


def encode(document: object) -> bytes:
    """Write a document, numbers digit for digit."""
    return _encoder.encode(document)


def shaped(document: object, shape: type[Shape]) -> Shape:
    """Return what is known of a document as a struct. Raise ``Breach`` where it is of another shape."""
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError:  # its text may hold a value of the answer
        raise Breach("unknown_shape", "the answer is not of the shape that the protocol has") from None


_PLAIN = bytes(set(range(256)) - set(b"[]{},:"))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def _check_size(body: bytes) -> None:
    """Count before anything is built: a small body can hold a large document, or one that is all depth."""
    few = body.count(b'"') <= MAX_NODES * 4
    skeleton = _outside_strings(body).translate(None, _PLAIN) if few else b""
    if not few or len(skeleton) > MAX_NODES * 2:
        raise Breach("too_large", "the document has more parts than any that the protocol needs")
    if not _is_shallow(skeleton):
        raise Breach("too_deep", "the document is deeper than any that the protocol needs")


def _outside_strings(body: bytes) -> bytes:
    """Return what is not inside a string. A string without an end reaches to the end of the body."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    return b"".join(plain.split(b'"')[::2])


def _is_shallow(skeleton: bytes) -> bool:
    """Take off the innermost level again and again; only what does not come out even is counted byte by byte."""
    brackets = skeleton.translate(_ONE_KIND, b",:")
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return True
    depth = 0
    for byte in skeleton:
        depth += (byte in b"[{") - (byte in b"]}")
        if depth > MAX_DEPTH:
            return False
    return True
