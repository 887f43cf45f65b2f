"""The custom fields and tags of the v3 door: ``/v3/contact_custom_fields``, ``/v3/contact_tags`` (v3 sheet §5).

It exists to turn requests into definitions and answers. The kinds with choices are not played here.
"""

from __future__ import annotations

from typing import Any

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.catalogue import Catalogue, CustomField, NameTaken, Tag
from django_ctct.sandbox.json_answers import CONFLICT, NOT_FOUND, Problem, Route, invalid, json_answer, stamp
from django_ctct.sandbox.json_query import links, read_place, write_cursor
from django_ctct.sandbox.json_read import is_uuid, read_body
from django_ctct.sandbox.wire import Answer, Request

FIELDS_OF_ACCOUNT = 100
KINDS = frozenset({"string", "date", "datetime", "number", "currency", "boolean", "text_area"})


class CatalogueDoor:
    """Answer for the custom fields and tags of one account."""

    def __init__(self, account: Account, catalogue: Catalogue) -> None:
        self._account = account
        self._catalogue = catalogue

    def routes(self) -> tuple[Route, ...]:
        """Return what is answered here."""
        return (
            Route("GET", "/contact_custom_fields", self.fields),
            Route("POST", "/contact_custom_fields", self.define),
            Route("GET", "/contact_custom_fields/([^/]+)", self.field),
            Route("PUT", "/contact_custom_fields/([^/]+)", self.relabel),
            Route("DELETE", "/contact_custom_fields/([^/]+)", self.undefine),
            Route("GET", "/contact_tags", self.tags),
            Route("POST", "/contact_tags", self.add_tag),
        )

    def fields(self, request: Request, _: str) -> Answer:
        """GET /contact_custom_fields."""
        documents = [_field_document(each) for each in self._catalogue.fields()]
        return self._collection(request, "custom_fields", "/contact_custom_fields", documents, 100)

    def field(self, _: Request, uuid: str) -> Answer:
        """GET /contact_custom_fields/{id}."""
        return json_answer(200, _field_document(self._field(uuid)))

    def define(self, request: Request, _: str) -> Answer:
        """POST /contact_custom_fields."""
        label, kind = self._sent(request)
        if len(self._catalogue.fields()) >= FIELDS_OF_ACCOUNT:
            raise invalid("There may not be more custom fields")
        try:
            return json_answer(201, _field_document(self._catalogue.define(label, kind)))
        except NameTaken as taken:
            raise _taken() from taken

    def relabel(self, request: Request, uuid: str) -> Answer:
        """PUT /contact_custom_fields/{id}: the type cannot change."""
        old = self._field(uuid)
        label, kind = self._sent(request, old.kind)
        if kind != old.kind:
            raise invalid("type cannot be changed")
        try:
            return json_answer(200, _field_document(self._catalogue.relabel(old, label)))
        except NameTaken as taken:
            raise _taken() from taken

    def undefine(self, _: Request, uuid: str) -> Answer:
        """DELETE /contact_custom_fields/{id}."""
        self._catalogue.undefine(self._field(uuid))
        return Answer(204)

    def tags(self, request: Request, _: str) -> Answer:
        """GET /contact_tags."""
        documents = [_tag_document(each) for each in self._catalogue.tags()]
        return self._collection(request, "tags", "/contact_tags", documents, 500)

    def add_tag(self, request: Request, _: str) -> Answer:
        """POST /contact_tags."""
        sent = read_body(request.body)
        sent.need("name")
        name, source = sent.text("name", 255, filled=True) or "", sent.text("tag_source", 50) or "Contact"
        sent.check()
        try:
            return json_answer(201, _tag_document(self._catalogue.add_tag(name, source)))
        except NameTaken as taken:
            raise _taken() from taken

    def _field(self, uuid: str) -> CustomField:
        if not is_uuid(uuid):
            raise Problem(400, NOT_FOUND, "custom_field_id is in an invalid format.")
        found = self._catalogue.field(uuid.lower())
        if found is None:
            raise Problem(404, NOT_FOUND, "There is no such custom field.")
        return found

    def _sent(self, request: Request, kind: str = "") -> tuple[str, str]:
        sent = read_body(request.body)
        sent.need("label")
        label, kind = sent.text("label", 50, filled=True) or "", sent.text("type", 20) or kind
        if kind not in KINDS:
            sent.wrong("type")
        sent.check()
        return label, kind

    def _collection(self, request: Request, name: str, path: str, documents: list[dict[str, Any]], most: int) -> Answer:
        place = read_place(request.query, name, self._account)
        limit = place.params.number("limit", 50, most)
        end = place.after + limit
        cursor = write_cursor(place.params, name, end, self._account) if len(documents) > end else ""
        page = documents[place.after : end]
        return json_answer(200, {name: page, **links(path, cursor, self._account)})


def _taken() -> Problem:
    return Problem(409, CONFLICT, "Validation failed: the name exists already")


def _field_document(each: CustomField) -> dict[str, Any]:
    return {
        "custom_field_id": each.uuid,
        "label": each.label,
        "name": each.name,
        "type": each.kind,
        "created_at": stamp(each.created),
        "updated_at": stamp(each.updated),
    }


def _tag_document(each: Tag) -> dict[str, Any]:
    return {
        "tag_id": each.uuid,
        "name": each.name,
        "tag_source": each.source,
        "created_at": stamp(each.created),
        "updated_at": stamp(each.updated),
    }
