"""The bulk activities of the v3 door: ``/v3/activities`` (v3 sheet §4).

It exists to read what a bulk request asks for and to queue it; what is done in the end is told by the counts,
never row by row, so a client must read the contacts again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import quote

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.activities import Activities, Activity, Job, Outcome, QueueFull, State
from django_ctct.sandbox.imports import Importer
from django_ctct.sandbox.json_answers import NOT_FOUND, Problem, Route, json_answer, present, stamp
from django_ctct.sandbox.json_contacts import ContactsDoor
from django_ctct.sandbox.json_query import links, read_place, write_cursor, wrong
from django_ctct.sandbox.json_read import Sent, is_uuid, read_body
from django_ctct.sandbox.people import LISTS_OF_CONTACT, People
from django_ctct.sandbox.profile import Permission
from django_ctct.sandbox.values import Contact, ContactList, Refused
from django_ctct.sandbox.wire import Answer, Request

CONTACTS_AT_ONCE = 500
IMPORT_ROWS = 40_000
IMPORT_BYTES = 4 * 1024 * 1024
_SOURCES = ("contact_ids", "list_ids", "tag_ids", "all_active_contacts", "new_subscriber", "segment_id")
_MAILABLE = (Permission.EXPLICIT, Permission.IMPLICIT)


class ActivitiesDoor:
    """Answer for the bulk activities of one account."""

    def __init__(
        self, account: Account, activities: Activities, people: People, contacts: ContactsDoor, importer: Importer
    ) -> None:
        self._account = account
        self._activities = activities
        self._people = people
        self._contacts = contacts
        self._importer = importer

    def routes(self) -> tuple[Route, ...]:
        """Return what is answered here."""
        return (
            Route("GET", "/activities", self.collection),
            Route("POST", "/activities/add_list_memberships", self.add),
            Route("POST", "/activities/remove_list_memberships", self.remove),
            Route("POST", "/activities/contacts_json_import", self.import_rows),
            Route("POST", "/activities/contact_delete", self.delete_contacts),
            Route("GET", "/activities/([^/]+)", self.one),
        )

    def collection(self, request: Request, _: str) -> Answer:
        """GET /activities: the newest first is nowhere promised, so it is the oldest."""
        place = read_place(request.query, "activities", self._account)
        limit, state = place.params.number("limit", 50, 500), place.params.text("state")
        if state and state not in {each.value for each in State}:
            raise wrong("state")
        numbered = enumerate(self._activities.all(), 1)
        rest = [(n, each) for n, each in numbered if n > place.after and state in ("", each.state.value)]
        page = rest[:limit]
        cursor = write_cursor(place.params, "activities", page[-1][0], self._account) if len(rest) > limit else ""
        documents = [_document(each) for _, each in page]
        return json_answer(200, {"activities": documents, **links("/activities", cursor, self._account)})

    def one(self, _: Request, uuid: str) -> Answer:
        """GET /activities/{id}."""
        if not is_uuid(uuid):
            raise Problem(400, NOT_FOUND, "activity_id is in an invalid format.")
        found = self._activities.get(uuid.lower())
        if found is None:
            raise Problem(404, NOT_FOUND, "There is no such activity.")
        return json_answer(200, _document(found))

    # Starting

    def add(self, request: Request, _: str) -> Answer:
        """POST /activities/add_list_memberships."""
        return self._memberships(request, self._add_all)

    def remove(self, request: Request, _: str) -> Answer:
        """POST /activities/remove_list_memberships."""
        return self._memberships(request, self._remove_all)

    def import_rows(self, request: Request, _: str) -> Answer:
        """POST /activities/contacts_json_import."""
        sent = read_body(request.body)
        sent.need("import_data")
        sent.need("list_ids")
        lists = self._contacts.lists(sent, "list_ids", LISTS_OF_CONTACT, 1) or frozenset()
        rows = sent.objects("import_data", IMPORT_ROWS) or []
        sent.check()
        kept = _within(IMPORT_BYTES, rows)
        return self._start(partial(self._importer.run, kept, lists), len(kept))

    def delete_contacts(self, request: Request, _: str) -> Answer:
        """POST /activities/contact_delete: contact_ids or list_ids."""
        sent = read_body(request.body)
        chosen = self._chosen(sent, ("contact_ids", "list_ids"))
        sent.check()
        return self._start(partial(self._delete_all, chosen), len(sent.given.get("contact_ids") or ()))

    def delete_list(self, doomed: ContactList) -> Answer:
        """Start the deletion of a list: 202 and where to look (§3)."""

        def job() -> Outcome:
            if doomed.deleted is None and doomed.id in {each.id for each in self._account.lists()}:
                self._account.delete_list(doomed.id)
            return Outcome({"items_total_count": 1, "items_completed_count": 1})

        return self._start(job, 1, status=202)

    def _start(self, job: Job, total: int, status: int = 201) -> Answer:
        try:
            activity = self._activities.start(job, total)
        except QueueFull as full:
            raise Problem(429, "queue_full", "Too many activities are queued", alone=True) from full
        answer = json_answer(status, _document(activity))
        where = f"/v3/activities/{activity.uuid}"
        return answer.with_headers(("Location", where)) if status == 202 else answer

    # Memberships

    def _memberships(
        self, request: Request, work: Callable[[Callable[[], list[str]], frozenset[int]], Outcome]
    ) -> Answer:
        sent = read_body(request.body)
        sent.need("source")
        sent.need("list_ids")
        source = sent.object("source") or Sent({}, sent.problems)
        chosen = self._chosen(source, _SOURCES, sent.object("exclude"))
        lists = self._contacts.lists(sent, "list_ids", LISTS_OF_CONTACT, 1) or frozenset()
        sent.check()
        return self._start(partial(work, chosen, lists), len(chosen()))

    def _chosen(self, source: Sent, known: tuple[str, ...], exclude: Sent | None = None) -> Callable[[], list[str]]:
        """Return what names the contacts meant, asked when the work is done; exactly one source (§4)."""
        given = [name for name in known if source.has(name)]
        if len(given) != 1:
            source.problems.append("source has exactly one of its properties")
            return list
        if exclude is not None and given[0] in ("contact_ids", "tag_ids", "segment_id"):
            source.problems.append("exclude does not go with that source")
        out = (exclude.uuids("contact_ids", CONTACTS_AT_ONCE) if exclude else None) or ()
        if given[0] == "contact_ids":
            ids = list(source.uuids("contact_ids", CONTACTS_AT_ONCE, 1) or ())
            return lambda: ids
        fits = self._fitting(source, given[0])
        return lambda: [each.uuid for each in self._account.contacts_after(0) if fits(each) and each.uuid not in out]

    def _fitting(self, source: Sent, name: str) -> Callable[[Contact], bool]:
        if name == "list_ids":
            lists = self._contacts.lists(source, name, LISTS_OF_CONTACT, 1) or frozenset()
            return lambda contact: bool(lists & contact.memberships.keys())
        if name == "tag_ids":
            tags = set(source.uuids(name, 50, 1) or ())
            return lambda contact: bool(tags & set(contact.profile.tags))
        if name == "all_active_contacts" and source.flag(name):
            return lambda contact: contact.deleted is None and contact.permission_to_send in _MAILABLE
        if name != "new_subscriber":
            source.wrong(name)
        return lambda _: False

    def _add_all(self, chosen: Callable[[], list[str]], lists: frozenset[int]) -> Outcome:
        return self._each(chosen(), len(lists), partial(self._add_one, lists=lists))

    def _add_one(self, contact: Contact, lists: frozenset[int]) -> str:
        switches = self._account.switches
        if contact.opt_out is not None:
            return "A contact is unsubscribed." if switches.add_unsubscribed == "error" else ""
        if contact.deleted is not None and not switches.bulk_add_revives:
            return "A contact is deleted."
        self._people.add_to(contact, self._account.shelf.known(lists))
        return ""

    def _remove_all(self, chosen: Callable[[], list[str]], lists: frozenset[int]) -> Outcome:
        def take_off(contact: Contact) -> str:
            self._people.take_off(contact, lists)
            return ""

        return self._each(chosen(), len(lists), take_off)

    def _delete_all(self, chosen: Callable[[], list[str]]) -> Outcome:
        def delete(contact: Contact) -> str:
            self._people.delete(contact)
            return ""

        return self._each(chosen(), None, delete)

    def _each(self, uuids: Iterable[str], list_count: int | None, work: Callable[[Contact], str]) -> Outcome:
        """Do something to each contact; an unknown one is skipped and told of (§4: UNCONFIRMED)."""
        wanted, done, errors = list(uuids), 0, []
        for uuid in wanted:
            try:
                error = work(self._account.contact_of_uuid(uuid))
            except Refused as refused:
                error = refused.refusal.value
            if error:
                errors.append(error)
            else:
                done += 1
        counts = {"items_total_count": len(wanted), "items_completed_count": done}
        return Outcome({**counts, **({} if list_count is None else {"list_count": list_count})}, tuple(errors))


def _within(most: int, rows: list[Sent]) -> list[Sent]:
    """Return the rows that fit into so many bytes; the rest is silently dropped (§4)."""
    kept, size = [], 0
    for row in rows:
        size += len(json.dumps(row.given, separators=(",", ":"))) + 1
        if size > most:
            break
        kept.append(row)
    return kept


def _document(activity: Activity) -> dict[str, Any]:
    over = activity.state not in (State.INITIALIZED, State.PROCESSING)
    percent = {State.INITIALIZED: 0, State.PROCESSING: 50}.get(activity.state, 100)
    updated = activity.due if over else activity.started or activity.created
    return present(
        {
            "activity_id": activity.uuid,
            "state": activity.state.value,
            "started_at": activity.started and stamp(activity.started),
            "completed_at": stamp(activity.due) if over else None,
            "created_at": stamp(activity.created),
            "updated_at": stamp(updated),
            "percent_done": percent,
            "activity_errors": list(activity.outcome.errors),
            "status": activity.outcome.counts or {"items_total_count": activity.total, "items_completed_count": 0},
            "_links": {"self": {"href": f"/v3/activities/{quote(activity.uuid)}"}},
        }
    )
