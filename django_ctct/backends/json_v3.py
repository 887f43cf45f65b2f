"""The v3 wire: Constant Contact's JSON API, with OAuth 2 tokens.

Read from top to bottom: the backend's verbs (which requests, in which order), requests, collections, settings.
What a contact looks like is in ``json_contact`` and ``json_fields``, what an account calls its fields in
``json_own_fields``, taking the last list off in ``json_activity``. An update sends back the document that was just
read, with nothing changed but what the permit says, because a PUT nulls what it leaves out (v3 sheet §2.5). It
decides nothing: what a write may say is in the permit. One thing it refuses by itself, since v3's server may not: to
put an opted-out contact on a list in the site's name.

``POST /contacts/sign_up_form`` is not used at all: it makes an unsubscribed contact explicit again (§2.7).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ..exceptions import AmbiguousWrite, ConfigurationError, RemoteConflict, RequestRejected
from ..types import (
    Collection,
    ContactStatus,
    ContactSummary,
    OptInSource,
    Page,
    Permit,
    RemoteContact,
    RemoteList,
    Verb,
)
from .base import BaseBackend, FieldLimit, Gate, Tokens
from .cursors import Cursors, resumed
from .http import Answer, Call, check_base_url, check_options
from .json_activity import Departure, begun
from .json_contact import (
    INCLUDE,
    LIST_NAME_LENGTH,
    UNSUBSCRIBED,
    Source,
    edited_contact,
    is_on,
    is_since,
    new_contact,
    new_ids_of,
    opted_out_contact,
    read_contact,
    read_created,
    read_list,
    read_sighting,
    read_summary,
    renamed_list,
    rows_of,
)
from .json_document import Breach, Unreadable, decode, shaped
from .json_fields import FIELDS, custom_limit
from .json_own_fields import OwnFields
from .json_payload import UUID, ContactPage, ContactPayload, Identity, ListPage, ListPayload, References
from .json_requests import Query, Requests, refused
from .judging import judged

__all__ = ["JSONBackend"]

logger = logging.getLogger(__name__)

#: As many contacts or lists as a page may have (§2.2, §3).
_LIMIT = "500"
#: Whatever is asked for, deleted and unsubscribed ones too: what v3 does without is in doubt (§2.2).
_ALL = ("status", "all")
_WITH_LISTS = (_ALL, ("include", "list_memberships"), ("limit", _LIMIT))
_COUNTED = ("include_membership_count", "active")
_CHANGES = Call("GET", "/contacts?updated_after={moment}")
#: How v3 says that nothing has that id: the second for one that it does not like (§2.3).
_NOT_THERE = frozenset({404, 400})


#: Where v3 tells its ids for the numbers of older APIs (§2.9).
_REFERENCES = {
    Collection.CONTACTS: ("contacts", "contact_id_xrefs"),
    Collection.LISTS: ("contact_lists", "list_id_xrefs"),
}


class JSONBackend(BaseBackend):
    """Speaks v3 for one account.

    ``OPTIONS``: ``client_id`` (the portal's API key), ``client_secret`` unless the application has none (PKCE),
    or a fixed ``access_token``; ``base_url``, ``authorize_url``, ``token_url`` and ``device_url`` if they are not
    Constant Contact's own; ``redirect_uri`` and ``scope``. Here they are checked only; ``oauth2`` reads them.
    """

    fields = FIELDS
    email_max_length = 80
    uses_tokens = True
    options = (
        *("client_id", "client_secret", "access_token", "base_url"),
        *("authorize_url", "token_url", "device_url", "redirect_uri", "scope"),
    )
    #: How long to wait before each look at an activity, in seconds: 20 in all (§4: a small one takes about one).
    activity_waits: tuple[float, ...] = (0.5, 1, 1.5, 2, 3, 5, 7)

    def __init__(self, options: Mapping[str, Any], *, gate: Gate | None = None, tokens: Tokens | None = None) -> None:
        super().__init__(options, gate=gate, tokens=tokens)
        check_options(options, self.options)
        _check_credentials(options)
        for name in ("authorize_url", "token_url", "device_url", "redirect_uri"):
            if options.get(name) is not None:
                check_base_url(options[name], option=name)
        base_url = check_base_url(options.get("base_url", "https://api.cc.email"))
        if urlsplit(base_url).path:
            raise ConfigurationError("base_url must not have a path: v3's begins with /v3/.")
        fixed = str(options.get("access_token") or "")
        self._wire = Requests(base_url, gate=self.gate, tokens=tokens, fixed=fixed)
        self._own_fields = OwnFields(self._wire, self.memory)
        self._cursors = Cursors("v3", base_url, str(options.get("client_id") or ""))

    @classmethod
    def limit_of(cls, name: str) -> FieldLimit | None:
        return super().limit_of(name) or custom_limit(name)

    # Contacts

    def find(self, email: str) -> RemoteContact | None:
        """Look an address up in one request. Rows of other addresses are passed over: the match is not ours (§2.2)."""
        call = Call("GET", "/contacts?email={email}")
        wanted = email.strip().lower()
        query = [("email", wanted), _ALL, ("include", INCLUDE)]
        answer = self._wire.read(call, self._wire.url("contacts", query=query))
        with judged(answer):
            found = {one["contact_id"]: one for one in rows_of(decode(answer.body), wanted)}
            if len(found) > 1:
                raise Breach("duplicate", "two contacts have the same address")
            row = found.popitem()[1] if found else None
            return None if row is None else read_contact(row, self._own_fields.knowing, answer.date)

    def get(self, remote_id: str) -> RemoteContact | None:
        return self._get(remote_id, _NOT_THERE)

    def _get(self, remote_id: str, not_there: frozenset[int]) -> RemoteContact | None:
        call = Call("GET", "/contacts/{id}")
        if remote_id.isdigit():
            return None  # an id from v1: under v3 the contact has another, and is found by its address
        url = self._wire.url("contacts", remote_id := _uuid(call, remote_id), query=[("include", INCLUDE)])
        answer = self._wire.read(call, url, allow=not_there)
        if answer.status in not_there:
            return None
        with judged(answer):
            contact = read_contact(decode(answer.body), self._own_fields.knowing, answer.date)
            if contact is not None and contact.remote_id != remote_id:
                raise Breach("other_contact", "the answer is about another contact")
        return contact

    def create(self, permit: Permit) -> RemoteContact:
        call = Call("POST", "/contacts")
        permit = self._sendable(call, permit, Verb.CREATE)
        permit = self._own_fields.placed(permit)
        body = new_contact(permit, self._own_fields.known)
        answer = self._wire.send(call, self._wire.url("contacts"), body=body, allow=frozenset({400, 409}))
        if answer.status == 409:
            raise _taken(answer)
        if answer.status == 400:
            if self._own_fields.mistaken(permit):
                return self.create(permit)
            raise refused(answer)
        return self._created(answer, permit)

    def _created(self, answer: Answer, permit: Permit) -> RemoteContact:
        """Read what a create made. It *was* made, so nothing here may call it failed.

        The answer was not asked to hold everything, so it is no document to write back: read the contact for that.
        """
        try:
            made = read_created(decode(answer.body), permit)
        except (Breach, Unreadable):
            raise answer.error(AmbiguousWrite, "success, without saying which id", code="no_id") from None
        if made.email != permit.email.lower():
            raise answer.error(AmbiguousWrite, "the answer is about another address", code="other_address")
        return made

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        call = Call("PUT", "/contacts/{id}")
        permit = self._sendable(call, permit, Verb.UPDATE)
        source = _source_of(call, existing)
        if source.permission == UNSUBSCRIBED and permit.lists and permit.source is not OptInSource.CONTACT:
            raise call.error(RequestRejected, "the contact has opted out", code="do_not_mail")
        if source.deleted and not permit.lists:
            return self._leave_deleted(call, permit)
        permit = self._own_fields.placed(permit)
        body = edited_contact(source, permit, self._own_fields.known)
        answer = self._put(existing.remote_id, body, allow=frozenset({400, 404}))
        if answer.status != 400:
            return self._applied(answer, existing.remote_id)
        if self._own_fields.mistaken(permit):
            return self.update(existing, permit)
        if body.get("list_memberships") != []:
            raise refused(answer)
        return self._depart(call, source, existing, permit)

    def _leave_deleted(self, call: Call, permit: Permit) -> None:
        """Send nothing: a deleted contact is on no list already, and a PUT would revive her (§2.5)."""
        if permit.fields:
            raise call.error(RequestRejected, "a deleted contact cannot be changed without a list", code="deleted")

    def _depart(self, call: Call, source: Source, existing: RemoteContact, permit: Permit) -> None:
        """Take the last list off where v3 refuses a PUT with none (§2.5, in doubt), then set the fields.

        Once the activity is taken the write has begun, and what fails after that leaves its end unknown. "Refused"
        would be read as "she left by herself" when the lists are gone.
        """
        departure = Departure(self._wire, existing.remote_id, source.lists)
        departure.start()
        self.gate.begun()
        with begun(call):
            done = departure.finish(self.activity_waits)
            # Her id was good a moment ago, so a 400 does not say that she is gone: it says nothing.
            now = None if done and not permit.fields else self._get(existing.remote_id, frozenset({404}))
        if not done:
            departure.judge(now)
        with begun(call):
            self._set_fields(call, now, permit)

    def _set_fields(self, call: Call, now: RemoteContact | None, permit: Permit) -> None:
        """Set what differs, on the new reading and without the lists, which v3 then keeps (§2.5)."""
        changes = {name: value for name, value in permit.fields.items() if now and now.fields.get(name) != value}
        if now is None or not changes or now.status is not ContactStatus.REMOVED or _source_of(call, now).deleted:
            return
        document = edited_contact(_source_of(call, now), replace(permit, fields=changes), self._own_fields.known)
        self._applied(self._put(now.remote_id, document), now.remote_id)

    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        """Unsubscribe her, which is for the whole account (§2.8). One who was not read yet is read first.

        Whether a deleted contact can be unsubscribed is not known (§2.5). It is tried; where that is refused she
        stays as she is (``deleted``). She is never revived for it: that would take a list, and the account's name.
        """
        call = Call("PUT", "/contacts/{id}")
        self.sendable(permit, Verb.OPT_OUT)
        now = existing if isinstance(existing.document, Source) else self.get(existing.remote_id)
        if now is None:
            raise call.error(RemoteConflict, "it is not there any more", code="gone")
        source = _source_of(call, now)
        answer = self._put(now.remote_id, opted_out_contact(source, permit), allow=frozenset({400, 404}))
        if answer.status != 400:
            return self._applied(answer, now.remote_id)
        if not source.deleted:
            raise refused(answer)
        if source.permission != UNSUBSCRIBED:
            raise answer.error(RequestRejected, "the contact is deleted, and opts out when she is back", code="deleted")
        return None

    def changed_since(
        self, moment: datetime, *, status: ContactStatus | None = None, list_id: str | None = None
    ) -> Iterator[ContactSummary]:
        """Ask for what changed, and choose here: a status is several of v3's, and its filters are in doubt (§2.2).

        v3 counts in seconds and does not say whether its limit is inside, so one second more is asked for.
        """
        if (status is None) == (list_id is None) or moment.tzinfo is None:
            raise ValueError("Ask with an aware moment, and with exactly one of status and list_id.")
        call = _CHANGES
        since = moment.astimezone(UTC).replace(microsecond=0)
        query = [("updated_after", _just_before(moment)), *_WITH_LISTS]
        if list_id is not None:
            query = [("lists", _uuid(call, list_id)), *query]
        rows = ((one, found) for one, found in self._contacts(call, query) if is_since(one, since))
        if list_id is not None:
            return (found for one, found in rows if is_on(one, found, list_id))
        return (found for _, found in rows if found.status is status)

    def contacts(self) -> Iterator[ContactSummary]:
        return (found for _, found in self._contacts(Call("GET", "/contacts"), _WITH_LISTS))

    # Feeds for the pull

    asks_for_opt_outs = True

    def changes(self, since: datetime) -> Iterator[Page]:
        return (page for page, _ in self._sighted(_CHANGES, [("updated_after", _just_before(since)), *_WITH_LISTS]))

    def opt_outs(self, since: datetime) -> Iterator[Page]:
        """Ask for opt-outs by their own date: whether they are changes too is in doubt (§7)."""
        call = Call("GET", "/contacts?optout_after={moment}")
        return (page for page, _ in self._sighted(call, [("optout_after", _just_before(since)), *_WITH_LISTS]))

    def walk(self, lists: Sequence[str], cursor: str = "") -> Iterator[Page]:
        """Walk the contacts, which say what lists they are on. A cursor is the query of the page after (§2.2)."""
        call = Call("GET", "/contacts")
        told = self._sighted(call, self._cursors.read_query(cursor) if cursor else _WITH_LISTS)
        pages = (replace(page, cursor=self._cursors.write(following)) for page, following in told)
        return resumed(pages) if cursor else pages

    def _sighted(self, call: Call, query: str | Query) -> Iterator[tuple[Page, str]]:
        """Yield the pages from this query on as sightings, each with the query of the next one."""
        for answer, page, following in self._wire.walk(call, "contacts", query, ContactPage):
            with judged(answer):
                found = [read_sighting(one) for one in page.contacts]
            yield Page(tuple(one for one in found if one is not None), at=answer.date), following

    # Lists

    def lists(self) -> Iterator[RemoteList]:
        query = [("status", "active"), _COUNTED, ("limit", _LIMIT)]
        for answer, page in self._wire.pages(Call("GET", "/contact_lists"), "contact_lists", query, ListPage):
            with judged(answer):
                found = [read_list(one) for one in page.lists]
            yield from (one for one in found if one is not None)

    def get_list(self, list_id: str) -> RemoteList | None:
        read = self._get_list(list_id, [_COUNTED])
        return None if read is None else read_list(shaped(read, ListPayload))

    def _get_list(self, list_id: str, query: Query = ()) -> dict[str, Any] | None:
        call = Call("GET", "/contact_lists/{id}")
        if list_id.isdigit():
            return None  # an id from v1
        url = self._wire.url("contact_lists", list_id := _uuid(call, list_id), query=query)
        answer = self._wire.read(call, url, allow=_NOT_THERE)
        if answer.status in _NOT_THERE:
            return None
        with judged(answer):
            document = decode(answer.body)
            if shaped(document, ListPayload).list_id.lower() != list_id:
                raise Breach("other_list", "the answer is about another list")
        assert isinstance(document, dict)  # noqa: S101  # what has the shape of a struct is one
        return document

    def create_list(self, name: str) -> RemoteList:
        call = Call("POST", "/contact_lists")
        answer = self._wire.send(call, self._wire.url("contact_lists"), body={"name": _list_name(call, name)})
        try:
            one = read_list(shaped(decode(answer.body), ListPayload))
        except (Breach, Unreadable):
            one = None
        if one is None:
            raise answer.error(AmbiguousWrite, "success, without saying which id", code="no_id")
        return one

    def rename_list(self, list_id: str, name: str) -> None:
        """Read the list and send it back with another name: what is left out would be overwritten (§3)."""
        read = self._get_list(list_id)
        call = Call("PUT", "/contact_lists/{id}")
        if read is None or read_list(shaped(read, ListPayload)) is None:
            raise call.error(RemoteConflict, "the list is not there any more", code="gone")
        body = renamed_list(read, _list_name(call, name))
        url = self._wire.url("contact_lists", list_id.lower())
        self._applied(self._wire.send(call, url, body=body, allow=frozenset({404})), list_id.lower())

    def delete_list(self, list_id: str) -> None:
        """Have a list deleted; one that is gone already is as wished. v3 does it a little later (§3: 202)."""
        call = Call("DELETE", "/contact_lists/{id}")
        self._wire.send(call, self._wire.url("contact_lists", _uuid(call, list_id)), allow=frozenset({404}))

    def members(self, list_id: str) -> Iterator[ContactSummary]:
        call = Call("GET", "/contacts?lists={id}")
        rows = self._contacts(call, [("lists", _uuid(call, list_id)), *_WITH_LISTS])
        return (found for one, found in rows if is_on(one, found, list_id))

    # Ids of another wire

    @classmethod
    def is_own_id(cls, remote_id: str) -> bool:
        return re.fullmatch(UUID, remote_id) is not None

    def new_ids(self, collection: Collection, ids: Sequence[str]) -> Mapping[str, str]:
        """Ask the cross-reference, which will be taken away some day (§2.9): a 404 knows none."""
        numbers = [one for one in ids if one.isdigit()]
        if not numbers:
            return {}
        where = _REFERENCES[collection]
        answer = self._wire.read(
            Call("GET", f"/{where[0]}/{where[1]}"),
            self._wire.url(*where, query=[("sequence_ids", ",".join(numbers))]),
            allow=frozenset({404}),
        )
        if answer.status == 404:
            return {}
        with judged(answer):
            known = new_ids_of(shaped(decode(answer.body), References))
        return {one: known[int(one)] for one in numbers if int(one) in known}

    def close(self) -> None:
        self._wire.close()

    # Requests

    def _put(self, remote_id: str, body: object, *, allow: frozenset[int] = frozenset({404})) -> Answer:
        call = Call("PUT", "/contacts/{id}")
        return self._wire.send(call, self._wire.url("contacts", _uuid(call, remote_id)), body=body, allow=allow)

    def _sendable(self, call: Call, permit: Permit, verb: Verb) -> Permit:
        permit = self.sendable(permit, verb)
        return replace(permit, lists=frozenset(_uuid(call, one) for one in permit.lists))

    def _applied(self, answer: Answer, remote_id: str) -> None:
        """Accept a 2xx without a body, or with the thing itself; any other page may not be v3's own answer."""
        if answer.status == 404:
            raise answer.error(RemoteConflict, "it is not there any more", code="gone")
        if answer.flaw or (answer.body.strip() and not _is_about(answer.body, remote_id)):
            code = answer.flaw or "surprising_body"
            raise answer.error(AmbiguousWrite, "success, with a body that is not v3's", code=code)

    def _contacts(self, call: Call, query: Query) -> Iterator[tuple[ContactPayload, ContactSummary]]:
        """Yield the rows that have an address; a contact with a telephone alone (§2.1) is none of ours."""
        for answer, page in self._wire.pages(call, "contacts", query, ContactPage):
            with judged(answer):
                found = [(one, read_summary(one)) for one in page.contacts]
            yield from ((one, summary) for one, summary in found if summary is not None)


# Settings


def _check_credentials(options: Mapping[str, Any]) -> None:
    """Check what has an alphabet. An application without a secret is a public one (PKCE, §1.3)."""
    patterns = {"client_id": "[!-9;-~]+", "client_secret": "[ -~]+", "access_token": "[!-~]+", "scope": "[!-~ ]+"}
    for name, pattern in patterns.items():
        value = options.get(name)
        if value not in (None, "") and not (isinstance(value, str) and re.fullmatch(pattern, value)):
            raise ConfigurationError(f"{name} holds a character that it cannot have.")
    if not options.get("client_id") and not options.get("access_token"):
        raise ConfigurationError("v3 needs client_id, the API key of your application (or a fixed access_token).")


# Answers


def _is_about(body: bytes, remote_id: str) -> bool:
    try:
        told = shaped(decode(body), Identity)
    except (Breach, Unreadable):
        return False
    return remote_id in {one.lower() for one in (told.contact_id, told.list_id) if isinstance(one, str)}


def _taken(answer: Answer) -> RemoteConflict:
    """Tell who has the address already: v3 says so in its words alone, and not in all of them (§2.4)."""
    found = re.search(rf"already exists for contact ({UUID})", answer.text)
    whose = found.group(1).lower() if found else ""
    return answer.error(RemoteConflict, "the address has a contact already", code="http_409", remote_id=whose)


def _source_of(call: Call, contact: RemoteContact) -> Source:
    if not isinstance(contact.document, Source):
        raise call.error(RemoteConflict, "the contact has to be read before it is written", code="not_read")
    return contact.document


def _just_before(moment: datetime) -> str:
    """Return a second less: v3 counts in seconds and does not say whether its limit is inside (§2.2)."""
    if moment.tzinfo is None:
        raise ValueError("Ask with an aware moment.")
    since = moment.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=1)
    return since.isoformat().replace("+00:00", "Z")


def _uuid(call: Call, remote_id: str) -> str:
    if not re.fullmatch(UUID, remote_id):
        raise call.error(RequestRejected, "an id of v3 is a UUID", code="bad_id")
    return remote_id.lower()


def _list_name(call: Call, name: str) -> str:
    if not 0 < len(name.strip()) <= LIST_NAME_LENGTH:
        raise call.error(RequestRejected, f"a list's name has 1 to {LIST_NAME_LENGTH} characters", code="bad_name")
    return name
