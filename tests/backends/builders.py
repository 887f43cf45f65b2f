"""Documents and permits with defaults, for made-up people at example.com. The shapes follow the protocol sheet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import canonicalize

from django_ctct.backends.atom_entry import ELEMENTS
from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.types import Permit, Verb

BASE = "https://api.constantcontact.com/ws/customers/acme"
ID = "http://api.constantcontact.com/ws/customers/acme"
ATTEMPT = UUID("00000000-0000-4000-8000-000000000001")
OPTIONS = {"username": "acme", "api_key": "k-1", "password": "open sesame"}


def backend(**options: Any) -> AtomBackend:
    return AtomBackend({**OPTIONS, **options})


def permit(verb: Verb = Verb.UPDATE, email: str = "kim@example.com", lists: Iterable[str] = (), **more: Any) -> Permit:
    return Permit(ATTEMPT, verb, email, frozenset(lists), **more)


def membership(list_id: str, source: str = "ACTION_BY_CUSTOMER") -> str:
    return f"""<ContactList id="{ID}/lists/{list_id}">
          <link xmlns="http://www.w3.org/2005/Atom" href="/ws/customers/acme/lists/{list_id}" rel="self" />
          <OptInSource>{source}</OptInSource>
          <OptInTime>2010-04-21T18:35:34.175Z</OptInTime>
        </ContactList>"""


def contact(
    contact_id: str = "2",
    email: str = "kim@example.com",
    status: str = "<Status>Active</Status>",
    lists: Iterable[str] = ("1",),
    contact_lists: str | None = None,
    fields: dict[str, str] | None = None,
    extra: str = "",
    head: str = "<?xml version='1.0' encoding='UTF-8'?>\n",
    contact_ns: str = ' xmlns="http://ws.constantcontact.com/ns/1.0/"',
    atom_ns: str = ' xmlns="http://www.w3.org/2005/Atom"',
    address: str | None = None,
) -> str:
    """Write a whole contact entry as GET answers it, with every text field there and most of them empty."""
    given = {"email_type": "HTML", "first_name": "Kim", "last_name": "Lee", **(fields or {})}
    texts = "\n".join(f"      <{local}>{given.get(name, '')}</{local}>" for name, local in ELEMENTS.items())
    address = f"<EmailAddress>{email}</EmailAddress>" if address is None else address
    if contact_lists is None:
        contact_lists = f"<ContactLists>{''.join(membership(one) for one in lists)}</ContactLists>"
    return f"""{head}<entry{atom_ns}>
  <link href="/ws/customers/acme/contacts/{contact_id}" rel="edit" />
  <id>{ID}/contacts/{contact_id}</id>
  <title type="text">Contact: {email}</title>
  <updated>2010-04-21T18:35:34.279Z</updated>
  <author>
    <name>Constant Contact</name>
  </author>
  <content type="application/vnd.ctct+xml">
    <Contact{contact_ns} id="{ID}/contacts/{contact_id}">
      {status}
      {address}
{texts}
      {contact_lists}
      <Confirmed>false</Confirmed>
      <InsertTime>2010-04-21T18:35:34.066Z</InsertTime>
      <LastUpdateTime>2010-04-21T18:35:34.279Z</LastUpdateTime>{extra}
    </Contact>
  </content>
  <source>
    <id>{ID}/contacts</id>
    <title type="text">Contacts for Customer: acme</title>
  </source>
</entry>"""


def summary(contact_id: str = "2", email: str = "kim@example.com", status: str = "Active") -> str:
    return f"""<entry>
    <link href="/ws/customers/acme/contacts/{contact_id}" rel="edit" />
    <id>{ID}/contacts/{contact_id}</id>
    <content type="application/vnd.ctct+xml">
      <Contact xmlns="http://ws.constantcontact.com/ns/1.0/" id="{ID}/contacts/{contact_id}">
        <Status>{status}</Status><EmailAddress>{email}</EmailAddress><Name>Lee, Kim</Name>
      </Contact>
    </content>
  </entry>"""


def member(contact_id: str, email: str) -> str:
    return f"""<entry>
    <link href="/ws/customers/acme/lists/1/members/{contact_id}" rel="edit" />
    <id>{ID}/contacts/{contact_id}</id>
    <content type="application/vnd.ctct+xml">
      <ContactListMember xmlns="http://ws.constantcontact.com/ns/1.0/" id="{ID}/contacts/{contact_id}">
        <EmailAddress>{email}</EmailAddress><Name>Lee, Kim</Name>
      </ContactListMember>
    </content>
  </entry>"""


def listed(list_id: str, name: str, extra: str = "<ContactCount>42</ContactCount>", ns: str = "") -> str:
    return f"""<entry{ns}>
    <id>{ID}/lists/{list_id}</id>
    <title type="text">{name}</title>
    <content type="application/vnd.ctct+xml">
      <ContactList xmlns="http://ws.constantcontact.com/ns/1.0/" id="{ID}/lists/{list_id}">
        <OptInDefault>false</OptInDefault><Name>{name}</Name><ShortName>{name}</ShortName>{extra}
      </ContactList>
    </content>
  </entry>"""


#: What a list has beside its name (v1 docs, Contact List Resource), in the order of the wire.
LIST_FIELDS = f"""<DisplayOnSignup>No</DisplayOnSignup><SortOrder>7</SortOrder>
        <Members id="{ID}/lists/1/members"></Members><ContactCount>42</ContactCount>"""


def feed(*entries: str, next: str | None = None) -> str:
    link = f'<link href="{next}" rel="next" />' if next is not None else ""
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <id>{ID}/contacts</id>
  <link href="contacts" /><link href="contacts" rel="self" />
  {link}
  <link href="/ws/customers/acme/contacts" rel="first" />
  {"".join(entries)}
</feed>"""


def with_strange(document: str, place: str, attributes: str = "", inside: str = "") -> str:
    """Put attributes that nobody knows on the first element of that name, and nodes that nobody knows into it."""
    start = re.compile(rf"<{place}(?=[ >])[^>]*>")
    return start.sub(lambda found: f"{found[0][:-1]}{attributes}>{inside}", document, count=1)


def same_xml(one: str | bytes, other: str | bytes) -> bool:
    """Compare as canonical XML; only the spelling of prefixes is free."""
    return canonical(one) == canonical(other)


def canonical(document: str | bytes, *, with_comments: bool = False) -> str:
    text = document.decode() if isinstance(document, bytes) else document
    text = text.split("?>", 1)[-1] if text.startswith("<?xml") else text
    return canonicalize(text, rewrite_prefixes=True, with_comments=with_comments)
