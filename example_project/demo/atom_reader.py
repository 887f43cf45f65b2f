"""The other side as v1 tells it: XML, and a user name with a password."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit
from xml.etree import ElementTree

from defusedxml.ElementTree import fromstring

from .constant_contact import Holding, ReadBack, Reader, Words

__all__ = ["AtomReader", "pretty"]

_CTCT = "{http://ws.constantcontact.com/ns/1.0/}"
_ATOM = "{http://www.w3.org/2005/Atom}"


class AtomReader(Reader):
    """Read one sandbox over v1."""

    words = Words(
        no_lists="<ContactLists />",
        empty="an empty <ContactLists>",
        site_acts="ACTION_BY_CUSTOMER",
        contact_acts="ACTION_BY_CONTACT",
        removed="Removed",
        opted_out="Do Not Mail",
    )

    def __init__(self, url: str, username: str, api_key: str, password: str) -> None:
        credentials = base64.b64encode(f"{api_key}%{username}:{password}".encode()).decode()
        super().__init__(url, f"Basic {credentials}")
        self._account = f"{url}/ws/customers/{username}"

    def read_back(self, holding: Holding) -> ReadBack:
        url = f"{self._account}/contacts/{holding.id}"
        answer = self._get(url)
        document = pretty(answer.content, self.list_names(by="id"))
        return ReadBack(urlsplit(url).path, document, status=holding.status)

    def lists_in(self, body: str) -> str:
        return pretty(body)

    def act_in(self, body: str) -> str:
        start, end = body.find("<OptInSource>"), body.find("</OptInSource>")
        return f"{body[start:end]}</OptInSource>" if 0 <= start < end else "(no <OptInSource>)"


def pretty(document: bytes | str, names: dict[str, str] | None = None) -> str:
    """Return the ``<ContactLists>`` of a document, indented, each list with its name and without its Atom link."""
    found = fromstring(document).find(f".//{_CTCT}ContactLists")
    if found is None:
        return "(there is no <ContactLists> in it)"
    for each in found:
        name = (names or {}).get(each.get("id", "").rpartition("/")[2], "")
        each[:] = [ElementTree.Comment(f" {name} "), *(child for child in each if not child.tag.startswith(_ATOM))]
    for each in found.iter():
        if isinstance(each.tag, str):  # a comment's tag is a function
            each.tag = each.tag.rpartition("}")[2]
    ElementTree.indent(found)
    found.tail = None
    return ElementTree.tostring(found, encoding="unicode", short_empty_elements=True)
