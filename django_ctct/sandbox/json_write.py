"""What the v3 door says about contacts and lists: JSON documents (v3 sheet §2.1, §3).

It exists apart from the doors so that the shape of an answer stands in one place: what is not set is absent,
sub-resources come only when asked for, and there is no status. It reads values only and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.catalogue import Catalogue
from django_ctct.sandbox.details import CORE, custom_of, phones_of, streets_of
from django_ctct.sandbox.json_answers import present, stamp
from django_ctct.sandbox.profile import Texting
from django_ctct.sandbox.values import Contact, ContactList, Source

SUB_RESOURCES = (
    "custom_fields",
    "list_memberships",
    "taggings",
    "phone_numbers",
    "street_addresses",
    "notes",
)
WORDS: Mapping[Source, str] = {Source.CONTACT: "Contact", Source.CUSTOMER: "Account"}


class ContactWriter:
    """Write contacts of one account."""

    def __init__(self, account: Account, catalogue: Catalogue) -> None:
        self._account = account
        self._catalogue = catalogue

    def contact(self, contact: Contact, include: Iterable[str] = SUB_RESOURCES) -> dict[str, Any]:
        """Write one contact with the sub-resources that are asked for."""
        birthday = contact.profile.birthday
        core = {name: contact.fields.get(element) for name, element in CORE.items()}
        return present(
            {
                "contact_id": contact.uuid,
                "email_address": self._email(contact) if contact.address else None,
                **core,
                "birthday_month": birthday and birthday[0],
                "birthday_day": birthday and birthday[1],
                "anniversary": contact.profile.anniversary,
                "update_source": WORDS[contact.updated_by],
                "create_source": WORDS[contact.created_by],
                "created_at": stamp(contact.inserted),
                "updated_at": stamp(contact.updated),
                # A date on a contact, a date-time on a list (§0).
                "deleted_at": contact.deleted and f"{contact.deleted:%Y-%m-%d}",
                "sms_channel": contact.profile.texting and _sms(contact, contact.profile.texting),
                **{name: getattr(self, f"_{name}")(contact) for name in SUB_RESOURCES if name in set(include)},
            }
        )

    def _email(self, contact: Contact) -> dict[str, Any]:
        gone = contact.opt_out if self._account.switches.opt_out_shown else None
        out: dict[str, Any] = {}
        if gone is not None:
            out = {
                "opt_out_source": WORDS[gone.source],
                "opt_out_date": stamp(gone.at),
                "opt_out_reason": gone.reason,
            }
        return present(
            {
                "address": self._address(contact),
                "permission_to_send": contact.permission_to_send.value,
                "created_at": stamp(contact.inserted),
                "updated_at": stamp(contact.updated),
                "opt_in_source": WORDS[contact.opt_in.source],
                "opt_in_date": stamp(contact.opt_in.at),
                **out,
                "confirm_status": _confirm_status(contact),
            }
        )

    def _address(self, contact: Contact) -> str:
        kept = self._account.switches.email_case == "kept" and contact.spelling.lower() == contact.address
        return contact.spelling if kept else contact.address

    def _custom_fields(self, contact: Contact) -> list[dict[str, str]]:
        values = custom_of(contact, self._catalogue)
        return [{"custom_field_id": uuid, "value": value} for uuid, value in values.items()]

    def _list_memberships(self, contact: Contact) -> list[str]:
        return [self._account.contact_list(each).uuid for each in contact.memberships]

    def _taggings(self, contact: Contact) -> list[str]:
        return [each for each in contact.profile.tags if self._catalogue.tag(each)]

    def _phone_numbers(self, contact: Contact) -> list[dict[str, Any]]:
        return [
            {"phone_number_id": _part_id(contact, kind), "phone_number": number, "kind": kind.value, **_dated(contact)}
            for kind, number in phones_of(contact).items()
        ]

    def _street_addresses(self, contact: Contact) -> list[dict[str, Any]]:
        parts = ("street", "city", "state", "postal_code", "country")
        return [
            present(
                {
                    "street_address_id": _part_id(contact, f"street {kind}"),
                    "kind": kind.value,
                    **{part: getattr(street, part) for part in parts},
                    "created_at": stamp(contact.inserted),
                    "updated_at": stamp(contact.updated),
                }
            )
            for kind, street in streets_of(contact).items()
        ]

    def _notes(self, contact: Contact) -> list[dict[str, str]]:
        return [
            {"note_id": note.uuid, "created_at": stamp(note.at), "content": note.text} for note in contact.profile.notes
        ]


def list_document(each: ContactList, count: int | None = None) -> dict[str, Any]:
    """Write one list; the count only when it was asked for."""
    return present(
        {
            "list_id": each.uuid,
            "name": each.name,
            "description": each.description,
            "favorite": each.favorite,
            "created_at": stamp(each.created or each.updated),
            "updated_at": stamp(each.updated),
            "deleted_at": each.deleted and stamp(each.deleted),
            "membership_count": count,
        }
    )


def _confirm_status(contact: Contact) -> str:
    if contact.opt_out is None and contact.awaiting:
        return "pending"
    return "confirmed" if contact.confirmed else "off"


def _part_id(contact: Contact, part: str) -> str:
    """Return an id for a part of a contact that has none of its own: the same one every time."""
    return str(uuid5(NAMESPACE_URL, f"{contact.uuid} {part}"))


def _dated(contact: Contact) -> dict[str, str]:
    return {
        "created_at": stamp(contact.inserted),
        "updated_at": stamp(contact.updated),
        "create_source": WORDS[contact.created_by],
        "update_source": WORDS[contact.updated_by],
    }


def _sms(contact: Contact, texting: Texting) -> dict[str, Any]:
    return {
        "sms_channel_id": texting.uuid,
        "sms_address": texting.number,
        "dial_code": "1",
        "country_code": "US",
        "create_source": WORDS[contact.created_by],
        "update_source": WORDS[contact.updated_by],
        "sms_channel_consents": [
            {
                "sms_consent_permission": texting.consent,
                "consent_type": "promotional_sms",
                "opt_in_date": stamp(texting.at),
            }
        ],
    }
