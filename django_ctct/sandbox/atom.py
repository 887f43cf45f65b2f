"""The v1 door: Atom over HTTP under ``/ws/customers/{username}/``.

It exists to put the account behind the old wire, and is written from the v1 protocol sheet alone. It keeps
the order of checks of §12 and maps refusals to statuses; what may happen to a contact is the account's
business, what documents look like that of ``atom_read`` and ``atom_write``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from hmac import compare_digest
from html import escape
from typing import TypeAlias
from urllib.parse import parse_qs, quote, unquote, urlsplit

from django_ctct.sandbox import atom_pages
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.atom_read import SentContact, Unacceptable, fill_places, read_contact, read_list
from django_ctct.sandbox.atom_write import HOST, Page, Writer
from django_ctct.sandbox.fields import LIMITS
from django_ctct.sandbox.gate import Over, Turned
from django_ctct.sandbox.values import Contact, Draft, Group, Refusal, Refused, Source
from django_ctct.sandbox.wire import Answer, Request, text_answer

PREFIX = "/ws/"

Verb: TypeAlias = Callable[["AtomDoor", Request, str], Answer]

_STATUS = {
    Refusal.UNKNOWN_CONTACT: 404,
    Refusal.UNKNOWN_LIST: 404,
    Refusal.ADDRESS_TAKEN: 409,
    Refusal.NAME_TAKEN: 409,
    Refusal.NO_VALID_LIST: 400,
    Refusal.NO_KNOWN_LIST: 400,
    Refusal.STRANGE_LIST: 400,
    Refusal.EMPTIED_BY_CONTACT: 400,
    Refusal.EMPTY_LISTS: 400,
    Refusal.CHANGED_MEANWHILE: 412,
}
_MEDIA = {
    "typed": "application/atom+xml;type={}",
    "plain": "application/atom+xml",
    "xml": "text/xml;charset=UTF-8",
}


class AtomDoor:
    """Answer v1 requests for one account."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def __call__(self, request: Request) -> Answer:
        """Answer one request; never raises for anything that a client can send."""
        try:
            return self._answer(request)
        except Unacceptable as wrong:
            return self._error(wrong.status, wrong.text)
        except Refused as refused:
            return self._refusal(refused.refusal)

    def _answer(self, request: Request) -> Answer:
        user = self._authenticate(request)
        turned = self.account.gate.admit(self.account.switches)
        if turned is not None:
            return self._over_limit(turned)
        match = re.fullmatch(r"/ws/customers/([^/]+)(/.*)?", request.path)
        if match is None:
            raise Unacceptable(404, "There is nothing here")
        if unquote(match[1]) != user:
            raise Unacceptable(int(self.account.switches.foreign_account), "This is another account")
        if match[2] is None:
            return _forbidden_page(request.path)
        return self._route(request, match[2])

    def _route(self, request: Request, tail: str) -> Answer:
        for pattern, verbs in _ROUTES:
            match = re.fullmatch(pattern, tail)
            if match is None:
                continue
            if request.method not in verbs:
                # 415, not 405: the service's own error list says so (§1.5).
                raise Unacceptable(415, "The method is not supported here")
            if request.method in ("POST", "PUT"):
                self._check_type(request)
            return verbs[request.method](self, request, match[1] if match.groups() else "")
        raise Unacceptable(404, "There is nothing here")

    def _check_type(self, request: Request) -> None:
        if request.media_type == "application/atom+xml":
            return
        if request.media_type == "application/x-www-form-urlencoded" and request.path.endswith("/lists"):
            raise Unacceptable(400, "The body is not an Atom entry")  # §4.3: 400 here, not 415
        raise Unacceptable(415, "The Content-Type must be application/atom+xml")

    # Who is calling

    def _authenticate(self, request: Request) -> str:
        known = self.account.credentials
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = parse_qs(request.query).get("access_token", [""])[0]
        if scheme.lower() == "bearer":
            token = value.strip()
        basic = f"{known.api_key}%{known.username}:{known.password}"
        if token and _same(token, known.access_token):
            return known.username
        if scheme.lower() == "basic" and _same(_decoded(value), basic):
            return known.username
        raise Unacceptable(401, "The credentials are missing or wrong")

    # Contacts

    def contacts(self, request: Request, _: str) -> Answer:
        """GET /contacts: all, searched, or changed since."""
        switches = self.account.switches
        query = atom_pages.read_query(request.query, self.account)
        contacts, last = atom_pages.page_of(atom_pages.select(self.account, query), switches.page_size)
        if query.emails and not contacts and switches.email_miss == "error":
            raise Unacceptable(500, "Server Error")
        page = self._page(request, "contacts", "Contacts", "contacts", query, last)
        return self._feed(self._writer().contacts_feed(page, contacts, search=bool(query.emails)))

    def create_contact(self, request: Request, _: str) -> Answer:
        """POST /contacts: 201 with the entry, or a refusal in the order of §12.2."""
        sent = read_contact(request.body)
        if sent.source is None:
            raise Unacceptable(400, "OptInSource is required")
        lists = self._list_ids(request, sent.list_uris or ())
        draft = Draft(sent.address, fill_places(sent.fields), lists, sent.source)
        contact = self.account.create(draft)
        answer = self._contact_answer(201, contact)
        return self._located(answer, f"contacts/{contact.id}")

    def contact(self, _: Request, number: str) -> Answer:
        """GET /contacts/{n}."""
        return self._contact_answer(200, self.account.contact(int(number)))

    def update_contact(self, request: Request, number: str) -> Answer:
        """PUT /contacts/{n}: 204 and no body (§3.7)."""
        old = self.account.contact(int(number))
        sent = read_contact(request.body)
        draft = self._draft(request, sent, old)
        try:
            self.account.update(old.id, draft, version=self._version(request, old))
        except Refused as refused:
            return self._refused_update(refused.refusal)
        return Answer(204)

    def opt_out_contact(self, _: Request, number: str) -> Answer:
        """DELETE /contacts/{n}: an opt-out for good, nothing is erased (§3.8)."""
        switches = self.account.switches
        contact = self.account.contact(int(number))
        if contact.opt_out is None:
            self.account.opt_out(contact.id, Source(switches.delete_source))
        elif switches.delete_again == "404":
            raise Refused(Refusal.UNKNOWN_CONTACT)
        return Answer(204)

    def _draft(self, request: Request, sent: SentContact, old: Contact) -> Draft:
        """Turn what was sent into what is wanted, by the switches on what was left out."""
        switches = self.account.switches
        left_out = dict.fromkeys(LIMITS, "") if switches.put_omitted == "clear" else {}
        fields = fill_places({**left_out, **sent.fields})
        uris = sent.list_uris
        if uris is None and switches.missing_contact_lists == "reject":
            raise Unacceptable(400, "ContactLists is required")
        if uris is None and switches.missing_contact_lists == "keep":
            source = self._required_source(sent, bool(old.memberships))
            return Draft(sent.address, fields, None, source)
        source = self._required_source(sent, bool(uris))
        return Draft(sent.address, fields, self._list_ids(request, uris or ()), source)

    def _required_source(self, sent: SentContact, has_lists: bool) -> Source:
        if sent.source is not None:
            return sent.source
        if has_lists or self.account.switches.empty_lists_need_optin:
            raise Unacceptable(400, "OptInSource is required")
        return Source.CUSTOMER

    def _refused_update(self, refusal: Refusal) -> Answer:
        switches = self.account.switches
        if refusal is Refusal.OPTED_OUT and switches.dnm_refusal == "silent_ignore":
            return Answer(204)
        if refusal is Refusal.ADDRESS_TAKEN:
            return self._error(int(switches.taken_address_put), refusal.value)
        return self._refusal(refusal)

    def _version(self, request: Request, contact: Contact) -> int | None:
        """Return the version that an If-Match names; one that names no version never matches."""
        wanted = request.headers.get("if-match")
        if not self.account.switches.etag or wanted is None or wanted.strip() == "*":
            return None
        return contact.version if wanted.strip() == _etag(contact) else 0

    def _list_ids(self, request: Request, uris: tuple[str, ...]) -> frozenset[int]:
        return frozenset(self._list_id(request, uri) for uri in uris)

    def _list_id(self, request: Request, uri: str) -> int:
        """Return the number in a list's id; 0, which no list has, for anything else (§7: both schemes)."""
        parts = urlsplit(uri)
        hosts = {urlsplit(HOST).netloc, request.host}
        match = re.fullmatch(r"/ws/customers/([^/]+)/lists/([0-9]{1,18})", parts.path)
        if match is None or parts.netloc not in hosts or parts.scheme not in ("http", "https"):
            return 0
        return int(match[2]) if unquote(match[1]) == self.account.credentials.username else 0

    # Lists

    def lists(self, request: Request, _: str) -> Answer:
        """GET /lists: the system lists first, on the first page."""
        query = atom_pages.read_query(request.query, self.account)
        rest = (each for each in self.account.lists() if each.id > query.after)
        lists, last = atom_pages.page_of(rest, self.account.switches.page_size)
        groups = () if query.after else (Group.ACTIVE, Group.DO_NOT_MAIL, Group.REMOVED)
        writer, counts = self._writer(), self.account.counts()
        page = self._page(request, "lists", "Contact Lists", writer.uri("lists"), query, last)
        return self._feed(writer.lists_feed(page, groups, lists, counts.__getitem__))

    def create_list(self, request: Request, _: str) -> Answer:
        """POST /lists."""
        draft, _id = read_list(request.body)
        created = self.account.create_list(draft)
        writer = self._writer()
        captured = self.account.switches.list_created_body == "capture"
        body = writer.created_list(created) if captured else writer.list_entry(created, 0)
        return self._located(self._document(201, body, "entry"), f"lists/{created.id}")

    def contact_list(self, _: Request, number: str) -> Answer:
        """GET /lists/{n}."""
        found = self.account.contact_list(int(number))
        count = self.account.counts()[found.id]
        return self._document(200, self._writer().list_entry(found, count), "entry")

    def system_list(self, _: Request, name: str) -> Answer:
        """GET /lists/active and its kin."""
        return self._document(200, self._writer().group_entry(Group(name)), "entry")

    def refuse_system_list(self, _: Request, _name: str) -> Answer:
        """PUT or DELETE of a system list."""
        raise Refused(Refusal.SYSTEM_LIST)

    def update_list(self, request: Request, number: str) -> Answer:
        """PUT /lists/{n}: the Atom id must be the list's own (§4.3)."""
        self.account.contact_list(int(number))
        draft, uri = read_list(request.body)
        if self._list_id(request, uri) != int(number):
            raise Unacceptable(400, "The Atom id is not that of the list")
        self.account.update_list(int(number), draft)
        return Answer(204)

    def delete_list(self, _: Request, number: str) -> Answer:
        """DELETE /lists/{n}."""
        self.account.delete_list(int(number))
        return Answer(204)

    def members(self, request: Request, name: str) -> Answer:
        """GET /lists/{n}/members, system lists too (§2)."""
        query = atom_pages.read_query(request.query, self.account)
        where = int(name) if name.isdigit() else Group(name)
        found = self.account.among(self.account.contacts_before(query.after), where)
        mailed = (contact for contact in found if contact.address)
        contacts, last = atom_pages.page_of(mailed, self.account.switches.page_size)
        writer, collection = self._writer(), f"lists/{name}/members"
        page = self._page(request, collection, "Contacts", writer.uri(collection), query, last)
        return self._feed(writer.members_feed(page, contacts))

    def service_document(self, _: Request, _name: str) -> Answer:
        """GET / below the account's base."""
        if not self.account.switches.service_document:
            raise Unacceptable(404, "The service document is no longer served")
        body = self._writer().service_document().encode()
        return Answer(200, body, "application/atomsvc+xml")

    # Answers

    def _writer(self) -> Writer:
        user = quote(self.account.credentials.username, safe="@")
        return Writer(user, self.account.switches, self.account.clock.now())

    def _page(
        self, request: Request, collection: str, title: str, own: str, query: atom_pages.Query, last: int
    ) -> Page:
        writer = self._writer()
        path, following = writer.path(collection), ""
        if last:
            start = path if writer.switches.next_href == "path" else collection.rpartition("/")[2]
            following = f"{start}?next={atom_pages.write_token(query, last, writer.now)}"
        current = f"{path}?{request.query}" if request.query else path
        return Page(collection, f"{title} for Customer: {writer.user}", own, following, path, current)

    def _feed(self, text: str) -> Answer:
        return self._document(200, text, "feed")

    def _document(self, status: int, text: str, kind: str) -> Answer:
        media = _MEDIA[self.account.switches.content_type].format(kind)
        return Answer(status, text.encode(), media)

    def _contact_answer(self, status: int, contact: Contact) -> Answer:
        answer = self._document(status, self._writer().contact_entry(contact), "entry")
        return answer.with_headers(("ETag", _etag(contact))) if self.account.switches.etag else answer

    def _located(self, answer: Answer, tail: str) -> Answer:
        scheme = self.account.switches.location_scheme
        if scheme == "none":
            return answer
        return answer.with_headers(("Location", self._writer().uri(tail).replace("http:", f"{scheme}:", 1)))

    def _refusal(self, refusal: Refusal) -> Answer:
        switches = self.account.switches
        status = _STATUS.get(refusal, 403)
        if refusal is Refusal.OPTED_OUT and switches.dnm_refusal == "400":
            status = 400
        if refusal is Refusal.SYSTEM_LIST:
            status = int(switches.system_list_write)
        return self._error(status, refusal.value)

    def _error(self, status: int, text: str) -> Answer:
        line = f"Error {status}: {text}"
        shape = self.account.switches.error_body
        if shape == "xml":
            body = f"<error><message>{escape(line)}</message></error>"
            answer = Answer(status, body.encode(), "application/xml")
        elif shape == "html":
            answer = Answer(status, f"<html><body><h1>{escape(line)}</h1></body></html>".encode(), "text/html")
        else:
            answer = text_answer(status, line)
        if status == 401:
            answer = answer.with_headers(("WWW-Authenticate", 'Basic realm="Constant Contact"'))
        return answer

    def _over_limit(self, turned: Turned) -> Answer:
        """Answer as the gateway in front of v1 would, or as v3 does (§8)."""
        if self.account.switches.over_limit == "429":
            return self._error(429, "Too many requests").with_headers(("Retry-After", str(turned.retry_after)))
        words = "Developer Over Qps" if turned.over is Over.SECOND else "Developer Over Rate"
        code = f"ERR_403_DEVELOPER_OVER_{turned.over.value}"
        return Answer(403, f"<h1>{words}</h1>".encode(), "text/xml", (("X-Mashery-Error-Code", code),))


_SYSTEM = "active|do-not-mail|removed"
_ROUTES: tuple[tuple[str, Mapping[str, Verb]], ...] = (
    ("/", {"GET": AtomDoor.service_document}),
    ("/contacts", {"GET": AtomDoor.contacts, "POST": AtomDoor.create_contact}),
    (
        "/contacts/([0-9]{1,18})",
        {"GET": AtomDoor.contact, "PUT": AtomDoor.update_contact, "DELETE": AtomDoor.opt_out_contact},
    ),
    ("/lists", {"GET": AtomDoor.lists, "POST": AtomDoor.create_list}),
    (
        "/lists/([0-9]{1,18})",
        {"GET": AtomDoor.contact_list, "PUT": AtomDoor.update_list, "DELETE": AtomDoor.delete_list},
    ),
    (
        f"/lists/({_SYSTEM})",
        {
            "GET": AtomDoor.system_list,
            "PUT": AtomDoor.refuse_system_list,
            "DELETE": AtomDoor.refuse_system_list,
        },
    ),
    (f"/lists/([0-9]{{1,18}}|{_SYSTEM})/members", {"GET": AtomDoor.members}),
)


def _etag(contact: Contact) -> str:
    return f'"{contact.id}-{contact.version}"'


def _same(given: str, known: str) -> bool:
    return compare_digest(given.encode(), known.encode())


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _forbidden_page(path: str) -> Answer:
    # Without its trailing slash the base URI met the web server in front, not the API (§1.1).
    text = f"<html><body><h1>Forbidden</h1><p>You don't have permission to access {escape(path)}</p></body></html>"
    return Answer(403, text.encode(), "text/html;charset=UTF-8")
