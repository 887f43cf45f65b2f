"""The contact lists of the v3 door: ``/v3/contact_lists`` (v3 sheet §3).

It exists to turn requests into drafts and answers. A list is deleted by an activity, so the contacts on it are
still there a moment later, and afterwards too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.json_answers import NOT_FOUND, Problem, Route, invalid, json_answer
from django_ctct.sandbox.json_query import Params, links, read_place, write_cursor
from django_ctct.sandbox.json_read import is_uuid, read_body
from django_ctct.sandbox.json_write import list_document
from django_ctct.sandbox.values import ContactList, ListDraft, Refusal, Refused
from django_ctct.sandbox.wire import Answer, Request

LISTS_OF_ACCOUNT = 1000


class ListsDoor:
    """Answer for the lists of one account; ``delete`` starts the activity that drops one."""

    def __init__(self, account: Account, delete: Callable[[ContactList], Answer]) -> None:
        self._account = account
        self._delete = delete

    def routes(self) -> tuple[Route, ...]:
        """Return what is answered here."""
        return (
            Route("GET", "/contact_lists", self.collection),
            Route("POST", "/contact_lists", self.create),
            Route("GET", "/contact_lists/list_id_xrefs", self.xrefs),
            Route("GET", "/contact_lists/([^/]+)", self.one),
            Route("PUT", "/contact_lists/([^/]+)", self.replace),
            Route("DELETE", "/contact_lists/([^/]+)", self.delete),
        )

    def collection(self, request: Request, _: str) -> Answer:
        """GET /contact_lists."""
        place = read_place(request.query, "lists", self._account)
        limit, count = place.params.number("limit", 50, 1000), self._counting(place.params)
        found = self._found(place.params)
        rest = [each for each in found if each.id > place.after]
        page = rest[:limit]
        cursor = write_cursor(place.params, "lists", page[-1].id, self._account) if len(rest) > limit else ""
        return json_answer(
            200,
            {
                "lists": [list_document(each, count(each)) for each in page],
                **({"lists_count": len(found)} if place.params.flag("include_count") else {}),
                **links("/contact_lists", cursor, self._account),
            },
        )

    def one(self, request: Request, uuid: str) -> Answer:
        """GET /contact_lists/{id}: deleted ones too."""
        count = self._counting(Params(request.query))
        found = self._list(uuid, deleted=True)
        return json_answer(200, list_document(found, count(found)))

    def create(self, request: Request, _: str) -> Answer:
        """POST /contact_lists."""
        draft = self._draft(request)
        if len(self._account.lists()) >= LISTS_OF_ACCOUNT:
            raise Refused(Refusal.TOO_MANY_LISTS)
        return json_answer(201, list_document(self._account.create_list(draft)))

    def replace(self, request: Request, uuid: str) -> Answer:
        """PUT /contact_lists/{id}: what is left out is overwritten."""
        old = self._list(uuid)
        return json_answer(200, list_document(self._account.update_list(old.id, self._draft(request))))

    def delete(self, _: Request, uuid: str) -> Answer:
        """DELETE /contact_lists/{id}: 202, done by an activity."""
        return self._delete(self._list(uuid))

    def xrefs(self, request: Request, _: str) -> Answer:
        """GET /contact_lists/list_id_xrefs: the numbers of v1 to the ids of v3 (§2.9)."""
        if not self._account.switches.xrefs:
            raise Problem(404, NOT_FOUND, "There is nothing here")
        wanted = frozenset(Params(request.query).numbers("sequence_ids", 500))
        found = [self._account.contact_list(each) for each in sorted(self._account.shelf.known(wanted))]
        return json_answer(200, {"xrefs": [{"sequence_id": f"{each.id:010d}", "list_id": each.uuid} for each in found]})

    def _found(self, params: Params) -> list[ContactList]:
        status = params.text("status") or "active"
        if status not in ("all", "active", "deleted"):
            raise invalid("status does not have a valid value")
        if (params.text("channel_type") or "email") == "sms":
            return []
        living = self._account.lists() if status != "deleted" else []
        gone = self._account.shelf.gone() if status != "active" else []
        name = params.text("name")
        return sorted((each for each in (*living, *gone) if not name or each.name == name), key=lambda each: each.id)

    def _counting(self, params: Params) -> Callable[[ContactList], int | None]:
        """Return how members are counted: not at all, all of them, or those that can be mailed."""
        wish = params.text("include_membership_count")
        if not wish:
            return lambda _: None
        if wish not in ("all", "active"):
            raise invalid("include_membership_count does not have a valid value")
        counted = (one for one in self._account.contacts() if wish == "all" or one.opt_out is None)
        counts = Counter(each for contact in counted for each in contact.memberships)
        return lambda each: counts[each.id]

    def _list(self, uuid: str, *, deleted: bool = False) -> ContactList:
        if not is_uuid(uuid):
            raise Problem(400, NOT_FOUND, "list_id is in an invalid format.")
        found = self._account.shelf.of_uuid(uuid.lower())
        if found is None or (found.deleted is not None and not deleted):
            raise Refused(Refusal.UNKNOWN_LIST)
        return found

    def _draft(self, request: Request) -> ListDraft:
        sent = read_body(request.body)
        sent.need("name")
        given: dict[str, Any] = {
            "name": (sent.text("name", 255, filled=True) or "").strip(),
            "description": sent.text("description", 255) or "",
            "favorite": sent.flag("favorite") or False,
        }
        sent.check()
        return ListDraft(**given)
