"""The contacts of the v3 door: ``/v3/contacts`` and what is below it (v3 sheet §2).

It exists to turn requests into wishes and answers; what may happen to a contact is the business of ``people``.
"""

from __future__ import annotations

from collections import Counter

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.catalogue import Catalogue
from django_ctct.sandbox.details import Wanted
from django_ctct.sandbox.json_answers import NOT_FOUND, Problem, Route, json_answer
from django_ctct.sandbox.json_query import ContactQuery, Params, links, read_place, write_cursor
from django_ctct.sandbox.json_read import Sent, is_date, is_uuid, read_body, read_only_keys
from django_ctct.sandbox.json_write import SUB_RESOURCES, ContactWriter
from django_ctct.sandbox.people import LISTS_OF_CONTACT, People
from django_ctct.sandbox.profile import Permission, PhoneKind
from django_ctct.sandbox.values import Contact, Source
from django_ctct.sandbox.wire import Answer, Request

CUSTOM_FIELDS_OF_CONTACT = 25
_READ_ONLY = (
    *("contact_id", "created_at", "updated_at", "deleted_at", "create_source", "opt_in_date", "opt_out_date"),
    *("opt_in_source", "opt_out_source", "confirm_status", "phone_number_id", "street_address_id", "note_id"),
)


class ContactsDoor:
    """Answer for the contacts of one account."""

    def __init__(self, account: Account, catalogue: Catalogue, people: People) -> None:
        self._account = account
        self._catalogue = catalogue
        self._people = people
        self._writer = ContactWriter(account, catalogue)

    def routes(self) -> tuple[Route, ...]:
        """Return what is answered here; the fixed names come before the ids."""
        return (
            Route("GET", "/contacts", self.collection),
            Route("POST", "/contacts", self.create),
            Route("GET", "/contacts/counts", self.counts),
            Route("GET", "/contacts/contact_id_xrefs", self.xrefs),
            Route("POST", "/contacts/sign_up_form", self.sign_up),
            Route("PUT", "/contacts/resubscribe/([^/]+)", self.resubscribe),
            Route("GET", "/contacts/([^/]+)", self.one),
            Route("PUT", "/contacts/([^/]+)", self.replace),
            Route("DELETE", "/contacts/([^/]+)", self.delete),
        )

    # Reading

    def collection(self, request: Request, _: str) -> Answer:
        """GET /contacts."""
        place = read_place(request.query, "contacts", self._account)
        query = ContactQuery(place.params, self._account)
        found, more = query.page(place.after)
        cursor = write_cursor(place.params, "contacts", found[-1].id, self._account) if more else ""
        return json_answer(
            200,
            {
                "contacts": [self._writer.contact(each, query.include) for each in found],
                **({"contacts_count": query.count()} if query.include_count else {}),
                **links("/contacts", cursor, self._account),
            },
        )

    def one(self, request: Request, uuid: str) -> Answer:
        """GET /contacts/{id}: deleted ones too (§2.3)."""
        include = Params(request.query).words("include", SUB_RESOURCES)
        return json_answer(200, self._writer.contact(self._contact(uuid), include))

    def counts(self, request: Request, _: str) -> Answer:
        """GET /contacts/counts (§2.9)."""
        include = Params(request.query).words("include", ("new_subscriber",))
        living = [contact for contact in self._account.contacts() if contact.deleted is None]
        found = Counter(contact.permission_to_send for contact in living)
        document = {
            "total": len(living),
            "explicit": found[Permission.EXPLICIT],
            "implicit": found[Permission.IMPLICIT],
            "pending": found[Permission.PENDING],
            "unsubscribed": found[Permission.UNSUBSCRIBED],
        }
        return json_answer(200, {**document, **({"new_subscriber": 0} if include else {})})

    def xrefs(self, request: Request, _: str) -> Answer:
        """GET /contacts/contact_id_xrefs: the numbers of v1, or of v2, to the ids of v3 (§2.9)."""
        if not self._account.switches.xrefs:
            raise Problem(404, NOT_FOUND, "There is nothing here")
        wanted = set(Params(request.query).numbers("sequence_ids", 500))
        known = sorted(each.id for each in self._account.contacts())
        meant = known if self._account.switches.xref_numbers == "v1" else known[1:] + known[:1]
        pairs = [
            {"sequence_id": f"{number:010d}", "contact_id": self._account.contact(one).uuid}
            for number, one in zip(known, meant, strict=True)
            if number in wanted
        ]
        return json_answer(200, {"xrefs": pairs})

    def _contact(self, uuid: str) -> Contact:
        if not is_uuid(uuid):
            raise Problem(400, NOT_FOUND, "contact_id is in an invalid format.")
        return self._account.contact_of_uuid(uuid.lower())

    # Writing

    def create(self, request: Request, _: str) -> Answer:
        """POST /contacts."""
        sent = read_body(request.body)
        wanted = self._wanted(sent, "create_source")
        named = wanted.core.get("FirstName") or wanted.core.get("LastName")
        if not (named or wanted.address or wanted.texting):
            sent.problems.append("One of first_name, last_name, email_address and sms_channel is required")
        sent.check()
        return json_answer(201, self._writer.contact(self._people.create(wanted)))

    def replace(self, request: Request, uuid: str) -> Answer:
        """PUT /contacts/{id}."""
        old = self._contact(uuid)
        sent = read_body(request.body)
        if self._account.switches.read_only_keys == "400":
            sent.problems += [f"{name} is read-only" for name in read_only_keys(sent, _READ_ONLY)]
        wanted = self._wanted(sent, "update_source")
        sent.check()
        return json_answer(200, self._writer.contact(self._people.replace(old, wanted)))

    def delete(self, _: Request, uuid: str) -> Answer:
        """DELETE /contacts/{id}."""
        self._people.delete(self._contact(uuid))
        return Answer(204)

    def sign_up(self, request: Request, _: str) -> Answer:
        """POST /contacts/sign_up_form: an upsert by the contact's own act."""
        sent = read_body(request.body)
        wanted = self._signed_up(sent)
        sent.check()
        contact, created = self._people.sign_up(wanted)
        action = "created" if created else "updated"
        return json_answer(201 if created else 200, {"contact_id": contact.uuid, "action": action})

    def resubscribe(self, request: Request, uuid: str) -> Answer:
        """PUT /contacts/resubscribe/{id}: one mail per contact ever."""
        contact = self._contact(uuid)
        sent = read_body(request.body)
        sent.need("list_ids")
        lists = self.lists(sent, "list_ids", LISTS_OF_CONTACT, 1) or frozenset()
        sent.check()
        return json_answer(200, self._writer.contact(self._people.invite(contact, lists)))

    # What was sent

    def _wanted(self, sent: Sent, source: str) -> Wanted:
        email = sent.object("email_address")
        if email is not None:
            email.need("address")
        email = email or Sent({}, sent.problems)
        return Wanted(
            source=sent.source(source),
            address=email.address("address"),
            permission=email.choice("permission_to_send", Permission),
            reason=email.text("opt_out_reason", 255),
            core=sent.core(),
            birthday=sent.birthday(),
            anniversary=sent.anniversary(),
            texting=sent.texting(),
            phones=sent.phones(),
            streets=sent.streets(),
            custom=self._custom(sent, CUSTOM_FIELDS_OF_CONTACT),
            notes=sent.notes(),
            tags=self._tags(sent),
            lists=self.lists(sent, "list_memberships", LISTS_OF_CONTACT),
        )

    def _signed_up(self, sent: Sent) -> Wanted:
        sent.need("email_address")
        sent.need("list_memberships")
        phone, street = sent.text("phone_number", 25), sent.object("street_address")
        return Wanted(
            source=Source.CONTACT,
            address=sent.address("email_address", 50),
            core=sent.core(filled=True),
            birthday=sent.birthday(),
            anniversary=sent.anniversary(),
            texting=sent.texting(),
            phones={PhoneKind.OTHER: phone} if phone else None,
            streets=dict([street.street()]) if street else None,
            custom=self._custom(sent, 50),
            lists=self.lists(sent, "list_memberships", LISTS_OF_CONTACT, 1),
        )

    def lists(self, sent: Sent, name: str, most: int, least: int = 0) -> frozenset[int] | None:
        """Return the numbers of the lists that were sent; one that there is not is wrong, or nothing."""
        uuids = sent.uuids(name, most, least)
        if uuids is None:
            return None
        found = [self._account.shelf.of_uuid(uuid) for uuid in uuids]
        living = frozenset(each.id for each in found if each is not None and each.deleted is None)
        if len(living) < len(uuids) and self._account.switches.unknown_list_v3 == "400":
            sent.wrong(name)
        return living

    def _custom(self, sent: Sent, most: int) -> dict[str, str] | None:
        values = sent.custom(most)
        for uuid, value in (values or {}).items():
            definition = self._catalogue.field(uuid)
            if definition is None or (definition.kind == "date" and value and not is_date(value)):
                sent.wrong("custom_field_id" if definition is None else definition.name)
        return values

    def _tags(self, sent: Sent) -> tuple[str, ...] | None:
        tags = sent.uuids("taggings", 50)
        if not all(self._catalogue.tag(uuid) for uuid in tags or ()):
            sent.wrong("taggings")
        return tags
