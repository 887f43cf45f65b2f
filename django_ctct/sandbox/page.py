"""The sandbox's own page: the account as people see it, and buttons to act as one of them.

It exists so that somebody who tries the package can watch it work. Everything shown is escaped, every act
needs the token that the page carries, and nothing is loaded from anywhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from hmac import compare_digest
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import parse_qs

from django_ctct.sandbox import acts
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.journal import Journal, Logged
from django_ctct.sandbox.values import Contact, ContactList, Refused, Source, Status
from django_ctct.sandbox.wire import Answer, Request

_SHOWN_CONTACTS = 200
_SHOWN_REQUESTS = 20
_ACTS_ON_PAGE = frozenset({"unsubscribe", "leave", "join", "confirm", "add", "remove"})
_BADGES = {
    Status.ACTIVE: "active",
    Status.UNCONFIRMED: "waiting",
    Status.REMOVED: "removed",
    Status.DO_NOT_MAIL: "gone",
}
_WORDS = {Source.CONTACT: "by the contact", Source.CUSTOMER: "by the owner"}


class FrontPage:
    """Answer ``/`` and ``/act``."""

    def __init__(self, account: Account, journal: Journal) -> None:
        self._account = account
        self._journal = journal
        self._token = secrets.token_urlsafe(24)
        self._template = Template(files("django_ctct.sandbox").joinpath("page.html").read_text("utf-8"))

    def __call__(self, request: Request) -> Answer:
        """Answer one request of a browser."""
        if request.path == "/act":
            return self._act(request) if request.method == "POST" else _plain(405, "Acts are sent by POST.")
        return self._show() if request.method in ("GET", "HEAD") else _plain(405, "This page is only read.")

    def _act(self, request: Request) -> Answer:
        given = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if not compare_digest(given.pop("token", "").encode(), self._token.encode()):
            return _plain(403, "The form is out of date. Go back, refresh the page and try again.")
        if given.get("do") not in _ACTS_ON_PAGE:
            return _plain(400, "There is no such act.")
        try:
            acts.act(self._account, {name: given[name] for name in ("do", "email", "list") if name in given})
        except (ValueError, Refused) as wrong:
            return self._show(409, str(wrong))
        return Answer(303, headers=(("Location", "/"),))

    def _show(self, status: int = 200, message: str = "") -> Answer:
        nonce = secrets.token_urlsafe(16)
        body = self._template.substitute(self._parts(), nonce=nonce, message=_message(message))
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        headers = (
            ("Content-Security-Policy", policy),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
        )
        return Answer(status, body.encode(), "text/html;charset=UTF-8", headers)

    def _parts(self) -> dict[str, str]:
        with self._account.lock:
            contacts, lists, counts = self._account.contacts(), self._account.lists(), self._account.counts()
            now = self._account.clock.now()
        names = {each.id: each.name for each in lists}
        return {
            "user": escape(self._account.credentials.username),
            "clock": f"{now:%Y-%m-%d %H:%M:%S} UTC",
            "contact_count": str(len(contacts)),
            "contacts": self._contacts(contacts, lists, names),
            "list_count": str(len(lists)),
            "lists": _rows(f"<li>{_chip(each.name)}<b>{counts[each.id]}</b></li>" for each in lists),
            "requests": _requests(self._journal.entries(_SHOWN_REQUESTS)),
        }

    def _contacts(self, contacts: list[Contact], lists: list[ContactList], names: dict[int, str]) -> str:
        if not contacts:
            return '<p class="none">Nobody is here yet. The first contact appears when a client creates one.</p>'
        shown = "".join(self._contact(each, lists, names) for each in contacts[:_SHOWN_CONTACTS])
        rest = len(contacts) - _SHOWN_CONTACTS
        return shown + (f'<p class="none">and {rest} older ones</p>' if rest > 0 else "")

    def _contact(self, contact: Contact, lists: list[ContactList], names: dict[int, str]) -> str:
        full_name = " ".join(filter(None, (contact.fields.get("FirstName"), contact.fields.get("LastName"))))
        chips = "".join(
            _chip(names[each], _WORDS[opt_in.source]) for each, opt_in in contact.memberships.items() if each in names
        )
        return (
            f'<article><header><h3>{escape(_title(contact))}</h3><span class="name">{escape(full_name)}</span>'
            f'<span class="badge {_BADGES[contact.status]}">{contact.status.value}</span></header>'
            f'<p class="chips">{chips or _absence(contact)}</p>{self._forms(contact, lists)}</article>'
        )

    def _forms(self, contact: Contact, lists: list[ContactList]) -> str:
        if not contact.address:
            return ""
        options = "".join(f"<option>{escape(each.name)}</option>" for each in lists)
        choice = f'<select name="list" aria-label="List">{options}</select>' if lists else ""
        own = (_button("join", "Join") + _button("leave", "Leave")) if lists else ""
        if contact.status is Status.UNCONFIRMED:
            own += _button("confirm", "Confirm")
        if contact.opt_out is None:
            own += _button("unsubscribe", "Unsubscribe from all", "warn")
        owner = (_button("add", "Add") + _button("remove", "Take off")) if lists else ""
        return (
            "<details><summary>Act</summary>"
            + self._form(contact, "As the contact", choice + own)
            + (self._form(contact, "As the owner", choice + owner) if owner else "")
            + "</details>"
        )

    def _form(self, contact: Contact, legend: str, inner: str) -> str:
        return (
            '<form method="post" action="/act"><fieldset>'
            f"<legend>{legend}</legend>"
            f'<input type="hidden" name="token" value="{escape(self._token)}">'
            f'<input type="hidden" name="email" value="{escape(contact.address)}">{inner}</fieldset></form>'
        )


def _button(act: str, words: str, look: str = "") -> str:
    return f'<button name="do" value="{act}" class="{look}">{words}</button>'


def _chip(name: str, note: str = "") -> str:
    small = f"<small>{note}</small>" if note else ""
    return f'<span class="chip">{escape(name)}{small}</span>'


def _title(contact: Contact) -> str:
    """Return the address; who is only texted has a number, or not even that."""
    texting = contact.profile.texting
    return contact.address or (f"+{texting.number}" if texting else "(no address)")


def _absence(contact: Contact) -> str:
    if contact.opt_out is None:
        state = "deleted" if contact.deleted else "on no list"
        return f'<span class="none">{state}, may come back</span>'
    return f'<span class="none">unsubscribed {_WORDS[contact.opt_out.source]}</span>'


def _rows(items: Iterable[str]) -> str:
    return "".join(items) or '<li class="none">There is no list yet.</li>'


def _requests(entries: list[Logged]) -> str:
    if not entries:
        return '<tr><td colspan="3" class="none">No client has called yet.</td></tr>'
    return "".join(_request(each) for each in reversed(entries))


def _request(entry: Logged) -> str:
    look = "good" if entry.status is not None and entry.status < 400 else "bad"
    fault = f" <small>{escape(entry.fault)}</small>" if entry.fault else ""
    told = "no answer" if entry.status is None else str(entry.status)
    return (
        f'<tr><td><time>{entry.at:%H:%M:%S}</time></td><td class="call"><b>{escape(entry.method)}</b> '
        f'<span>{escape(entry.path[:300])}</span></td><td class="{look}">{told}{fault}</td></tr>'
    )


def _message(text: str) -> str:
    return f'<p class="message" role="alert">{escape(text)}</p>' if text else ""


def _plain(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), "text/plain;charset=UTF-8")
