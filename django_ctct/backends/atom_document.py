"""Reads Atom/XML safely and writes it back as it was.

A v1 update sends the document that was read, so whatever we do not understand must survive: prefixes and where
they are declared, unknown elements and attributes, comments, instructions, blanks. The standard library's tree
loses prefixes; this one keeps them, and is frozen, so that an edit is a new document and the one that was read
stays what it was. Guaranteed: an element that was read and serialised is equal to it as canonical XML, prefixes
included. CDATA sections come back as plain text, and comments outside the root are dropped.

It knows XML and nothing of contacts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

__all__ = ["Breach", "Comment", "Element", "Instruction", "Unreadable", "parse", "serialize"]

MAX_DEPTH = 32
#: A page has 50 entries of some 20 elements: twenty times that, read in about 0.1 s.
MAX_NODES = 20_000
MAX_TEXT = 64 * 1024
MAX_ATTRIBUTES = 64
#: In bytes, of which a character has four at most.
MAX_TOKEN = 4 * MAX_TEXT
CHUNK = 64 * 1024


class Unreadable(ValueError):
    """The bytes are no XML within the limits: a fault of the way they came, most likely."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class Breach(ValueError):
    """The document can be read and is not one that the protocol allows."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Comment:
    text: str


@dataclass(frozen=True, slots=True)
class Instruction:
    target: str
    data: str


@dataclass(frozen=True, slots=True, repr=False)
class Element:
    """One element, names as written. ``declared`` holds its own namespace declarations (prefix, URI)."""

    uri: str
    local: str
    prefix: str = ""
    declared: tuple[tuple[str, str], ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Node, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.prefix}:{self.local}" if self.prefix else self.local

    @property
    def text(self) -> str:
        """Give the text directly inside, without that of elements further in."""
        return "".join(child for child in self.children if isinstance(child, str))

    def is_called(self, uri: str, local: str) -> bool:
        return self.local == local and self.uri == uri

    def find(self, uri: str, local: str) -> Iterator[Element]:
        """Yield the children of that name."""
        return (child for child in self.children if isinstance(child, Element) and child.is_called(uri, local))

    def get(self, attribute: str) -> str:
        return dict(self.attributes).get(attribute, "")


Node = Element | Comment | Instruction | str
#: An element up to its children: URI, local name, prefix, declarations, attributes.
_Start = tuple[str, str, str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


# Reading


def parse(body: bytes) -> Element:
    """Read a document. Raise ``Unreadable``, or ``Breach`` for one with a DTD, as soon as it shows."""
    parser = DefusedXMLParser(target=_Builder(), forbid_dtd=True)
    parser.parser.namespace_prefixes = True  # names come as {uri}local}prefix
    try:
        _feed(parser, body)
        root = parser.close()
    except (Unreadable, Breach):
        raise
    except DefusedXmlException:
        raise Breach("dtd", "the document has a DTD, which the protocol does not have") from None
    except (ParseError, ValueError, LookupError, RecursionError):
        raise Unreadable("unreadable", "the answer is not well-formed XML") from None
    assert isinstance(root, Element)  # noqa: S101  # expat has refused a document without a root
    return root


def _feed(parser: DefusedXMLParser, body: bytes) -> None:
    """Feed the body piece by piece, and stop at a token that is longer than any can be.

    expat shows a tag only when it has all of it, half a million attributes included, and older ones read an
    unfinished token anew with each piece (CVE-2023-52425).
    """
    for begin in range(0, len(body), CHUNK):
        piece = body[begin : begin + CHUNK]
        parser.feed(piece)
        if begin + len(piece) - parser.parser.CurrentByteIndex > MAX_TOKEN:
            _too_much("a tag is too long")


class _Builder:
    """Builds elements while expat reads, and stops it at the first that is too much."""

    def __init__(self) -> None:
        self._open: list[tuple[_Start, list[Node]]] = []
        self._declared: list[tuple[str, str]] = []
        self._text: list[str] = []
        self._length = 0
        self._nodes = 0
        self._root: Element | None = None

    def start_ns(self, prefix: str, uri: str) -> None:
        self._declared.append((prefix, uri))
        self._check_attributes(len(self._declared))

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._add()
        if len(self._open) >= MAX_DEPTH:
            _too_much("it is nested too deeply")
        self._check_attributes(len(attributes) + len(self._declared))
        named = tuple([(_written(name), _limited(value)) for name, value in attributes.items()])
        self._open.append(((*_split(tag), tuple(self._declared), named), []))
        self._declared.clear()

    def data(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_TEXT:
            _too_much("a text is too long")
        self._text.append(text)

    def comment(self, text: str) -> None:
        self._add(Comment(_limited(text)))

    def pi(self, target: str, data: str) -> None:
        self._add(Instruction(target, _limited(data)))

    def end(self, tag: str) -> None:
        self._add()
        started, children = self._open.pop()
        whole = Element(*started, tuple(children))
        if self._open:
            self._open[-1][1].append(whole)
        else:
            self._root = whole

    def close(self) -> Element | None:
        return self._root

    def _add(self, *nodes: Node) -> None:
        """Count a node, and put the text before it and itself in their place."""
        self._nodes += 1
        if self._nodes > 2 * MAX_NODES:  # start and end of an element count one each
            _too_much("it has too many elements")
        if self._open:
            children = self._open[-1][1]
            if self._text:
                children.append("".join(self._text))
            children.extend(nodes)
        self._text.clear()
        self._length = 0

    def _check_attributes(self, count: int) -> None:
        if count > MAX_ATTRIBUTES:
            _too_much("an element has too many attributes")


def _too_much(what: str) -> NoReturn:
    raise Unreadable("too_large", f"the answer passes the limits of the protocol: {what}")


def _limited(text: str) -> str:
    if len(text) > MAX_TEXT:
        _too_much("a text is too long")
    return text


def _split(tag: str) -> tuple[str, str, str]:
    """Take ``{uri}local}prefix``, ``{uri}local`` or ``local`` apart."""
    if not tag.startswith("{"):
        return "", tag, ""
    uri, local, prefix = (*tag[1:].split("}"), "")[:3]
    return uri, local, prefix


def _written(tag: str) -> str:
    _, local, prefix = _split(tag)
    return f"{prefix}:{local}" if prefix else local


# Writing

#: What XML 1.0 §2.2 does not allow at all, not even as a character reference.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def serialize(root: Element) -> bytes:
    """Write a document in UTF-8. Characters that XML cannot carry become blanks."""
    return ("<?xml version='1.0' encoding='UTF-8'?>\n" + "".join(_pieces(root))).encode("utf-8")


def _pieces(node: Node) -> Iterator[str]:
    # Recursion is safe: nothing deeper than MAX_DEPTH was read, and an edit adds at the top only.
    if isinstance(node, str):
        yield _NO_XML.sub(" ", node).translate(_IN_TEXT)
    elif isinstance(node, Comment):
        yield f"<!--{node.text}-->"
    elif isinstance(node, Instruction):
        yield f"<?{node.target} {node.data}?>"
    else:
        yield f"<{node.name}{''.join(_declarations(node))}>"
        for child in node.children:
            yield from _pieces(child)
        yield f"</{node.name}>"


def _declarations(element: Element) -> Iterator[str]:
    for prefix, uri in element.declared:
        yield f' xmlns{":" if prefix else ""}{prefix}="{uri.translate(_IN_ATTRIBUTE)}"'
    for name, value in element.attributes:
        yield f' {name}="{_NO_XML.sub(" ", value).translate(_IN_ATTRIBUTE)}"'
