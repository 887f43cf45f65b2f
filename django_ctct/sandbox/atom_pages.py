"""The v1 door's queries and pages: which contacts a feed holds, and the token that leads to the next page.

It exists because a page must carry its filter: the ``next`` link holds all of it, opaque and in lower case,
since one client lower-cases whole URLs (v1 sheet §1.1, §3.2, §3.3). It writes no XML.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar
from urllib.parse import parse_qs

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.atom_read import Unacceptable, read_time
from django_ctct.sandbox.values import Contact, ContactList, Group

Item = TypeVar("Item", Contact, ContactList)
SEARCH_LIMIT = 50
"""The most addresses in one search (§3.3)."""


@dataclass(frozen=True, slots=True)
class Query:
    """Say what a feed shows: the filter, and after which id it goes on."""

    emails: tuple[str, ...] = ()
    since: str = ""
    group: str = ""
    list_id: int = 0
    after: int = 0

    @property
    def filtered(self) -> bool:
        """Tell whether this is more than the plain collection."""
        return bool(self.emails or self.since)


def read_query(query: str, account: Account) -> Query:
    """Read the query string of a feed; raise ``Unacceptable`` for one that makes no sense."""
    # parse_qs turns a raw + into a blank, as the service does: an address needs %2B (§9.2).
    given = parse_qs(query, keep_blank_values=True)
    if "next" in given:
        return _from_token(given["next"][0], account)
    if "email" in given:
        return _search(tuple(given["email"]))
    if "updatedsince" in given:
        return _changes(given)
    if "listtype" in given or "listid" in given:
        raise Unacceptable(400, "listtype and listid need updatedsince")
    return Query()


def _search(emails: tuple[str, ...]) -> Query:
    if len(emails) > SEARCH_LIMIT:
        raise Unacceptable(400, f"At most {SEARCH_LIMIT} addresses may be searched at once")
    return Query(emails=emails)


def _changes(given: dict[str, list[str]]) -> Query:
    since = given["updatedsince"][0]
    if read_time(since) is None:
        raise Unacceptable(400, "updatedsince is not a time")
    if ("listtype" in given) == ("listid" in given):
        raise Unacceptable(400, "updatedsince needs one of listtype and listid")
    if "listid" in given:
        number = given["listid"][0]
        if not (number.isascii() and number.isdigit()):
            raise Unacceptable(400, "listid is a number")
        return Query(since=since, list_id=int(number))
    if given["listtype"][0] not in {each.value for each in Group}:
        raise Unacceptable(400, "listtype is active, removed or do-not-mail")
    return Query(since=since, group=given["listtype"][0])


def write_token(query: Query, after: int, now: datetime) -> str:
    """Return an opaque lower-case token that continues the query behind ``after``."""
    parts = {**asdict(query), "after": after, "issued": now.timestamp()}
    return json.dumps(parts, separators=(",", ":")).encode().hex()


def _from_token(token: str, account: Account) -> Query:
    try:
        parts = json.loads(bytes.fromhex(token))
        issued = float(parts.pop("issued"))
        query = _checked(Query(**{**parts, "emails": tuple(parts["emails"])}))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unacceptable(400, "The next token is not one of ours") from error
    life = account.switches.next_token_life
    if life and account.clock.now().timestamp() - issued > life:
        raise Unacceptable(int(account.switches.next_token_refusal), "The next token has expired")
    return query


def _checked(query: Query) -> Query:
    """Refuse a token that was made up: every part must be of its kind."""
    texts = (*query.emails, query.since, query.group)
    numbers = (query.list_id, query.after)
    if not all(isinstance(each, str) for each in texts) or not all(type(each) is int for each in numbers):
        raise TypeError("a part is of the wrong kind")
    if query.group:
        Group(query.group)
    return query


def select(account: Account, query: Query) -> Iterator[Contact]:
    """Go through the contacts that the query asks for, behind its place, newest id first.

    v1 knows none without an address.
    """
    if query.emails:
        return _found(account, query)
    contacts = (contact for contact in account.contacts_before(query.after) if contact.address)
    if not query.since:
        return contacts
    changed = _changed(account, contacts, query.since)
    return account.among(changed, Group(query.group) if query.group else query.list_id)


def _found(account: Account, query: Query) -> Iterator[Contact]:
    found = {contact.id: contact for each in query.emails if each and (contact := account.find(each))}
    return (found[number] for number in sorted(found, reverse=True) if not query.after or number < query.after)


def _changed(account: Account, contacts: Iterator[Contact], since: str) -> Iterator[Contact]:
    bound, inclusive = read_time(since), account.switches.updatedsince_inclusive
    if bound is None:
        return iter(())
    if not inclusive:
        bound += timedelta(milliseconds=1)
    return (contact for contact in contacts if contact.updated >= bound)


def page_of(items: Iterable[Item], size: int) -> tuple[list[Item], int]:
    """Cut one page; return it with the id to go on behind, 0 on the last page."""
    page = list(islice(items, size + 1))
    return page[:size], page[size - 1].id if len(page) > size else 0
