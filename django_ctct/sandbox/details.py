"""How the details of one contact look from both wires, and how what v3 sends is laid over them.

It exists because the account keeps one contact for two wires. Shared are: the four name fields, the phones
``home`` and ``work`` (v1 HomePhone, WorkPhone), the street address ``home`` (v1's only one; Addr1 to Addr3 read
as one line), and the custom fields that ``catalogue`` binds to v1's fifteen. All else stays with v3. It knows no
rule about permission or lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import uuid4

from django_ctct.sandbox.catalogue import Catalogue
from django_ctct.sandbox.fields import COUNTRIES, STATES
from django_ctct.sandbox.profile import Note, Permission, PhoneKind, Profile, Street, StreetKind, Texting
from django_ctct.sandbox.values import Contact, Source

CORE: Mapping[str, str] = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "job_title": "JobTitle",
    "company_name": "CompanyName",
}
"""The name fields of v3 with their elements on v1."""
_PHONES = {PhoneKind.HOME: "HomePhone", PhoneKind.WORK: "WorkPhone"}
_ADDRESS_LINES = ("Addr1", "Addr2", "Addr3")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Say what a write of v3 wants a contact to be; ``None`` is what was left out.

    ``core`` is by the elements of v1, ``custom`` by the uuids of the definitions.
    """

    source: Source
    address: str | None = None
    permission: Permission | None = None
    reason: str | None = None
    core: Mapping[str, str] = field(default_factory=dict)
    birthday: tuple[int, int] | None = None
    anniversary: str | None = None
    texting: tuple[str, str] | None = None
    phones: Mapping[PhoneKind, str] | None = None
    streets: Mapping[StreetKind, Street] | None = None
    custom: Mapping[str, str] | None = None
    notes: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    lists: frozenset[int] | None = None

    def emptied(self, *, arrays: bool) -> Wanted:
        """Return the wish of a full replacement: what was left out is to be empty, ``arrays`` too if so told."""
        core = {**dict.fromkeys(CORE.values(), ""), **self.core}
        new = replace(self, core=core, anniversary=self.anniversary or "", birthday=self.birthday or (0, 0))
        if not arrays:
            return new
        return replace(
            new,
            phones=new.phones or {},
            streets=new.streets or {},
            custom=new.custom or {},
            notes=new.notes or (),
            tags=new.tags or (),
            lists=new.lists or frozenset(),
        )


# Reading


def phones_of(contact: Contact) -> dict[PhoneKind, str]:
    """Return the phones of a contact by kind."""
    shared = {kind: contact.fields.get(element, "") for kind, element in _PHONES.items()}
    return {kind: number for kind, number in {**shared, **contact.profile.phones}.items() if number}


def streets_of(contact: Contact) -> dict[StreetKind, Street]:
    """Return the street addresses of a contact by kind."""
    home = _home(contact.fields)
    return {**({StreetKind.HOME: home} if home != Street() else {}), **contact.profile.streets}


def custom_of(contact: Contact, catalogue: Catalogue) -> dict[str, str]:
    """Return the custom field values of a contact by definition."""
    own = {uuid: value for uuid, value in contact.profile.custom.items() if catalogue.field(uuid)}
    return {**catalogue.slots_of(contact), **own}


def _home(fields: Mapping[str, str]) -> Street:
    return Street(
        street=", ".join(line for name in _ADDRESS_LINES if (line := fields.get(name, ""))),
        city=fields.get("City", ""),
        state=fields.get("StateName") or fields.get("StateCode", ""),
        postal_code=fields.get("PostalCode", ""),
        country=fields.get("CountryName") or fields.get("CountryCode", ""),
    )


# Writing


def laid_over(contact: Contact, wanted: Wanted, catalogue: Catalogue, now: datetime) -> Contact:
    """Return the contact with all that was sent; sent collections take the place of the old ones."""
    fields = {**contact.fields, **wanted.core}
    profile = _with_plain(contact.profile, wanted, now)
    if wanted.phones is not None:
        fields |= {element: wanted.phones.get(kind, "") for kind, element in _PHONES.items()}
        profile = replace(profile, phones={k: n for k, n in wanted.phones.items() if k not in _PHONES})
    if wanted.streets is not None:
        fields |= _home_fields(contact, wanted.streets.get(StreetKind.HOME, Street()))
        profile = replace(profile, streets={k: s for k, s in wanted.streets.items() if k is not StreetKind.HOME})
    if wanted.custom is not None:
        shared, own = _sorted_custom(wanted.custom, catalogue)
        fields |= {**dict.fromkeys((name for name in fields if name.startswith("CustomField")), ""), **shared}
        profile = replace(profile, custom=own)
    return replace(contact, fields=fields, profile=profile)


def added_to(contact: Contact, wanted: Wanted, catalogue: Catalogue, now: datetime) -> Contact:
    """Return the contact with all that was sent, beside what it had: nothing is removed (v3 sheet §2.7)."""
    merged = replace(
        wanted,
        phones={**phones_of(contact), **(wanted.phones or {})},
        streets={**streets_of(contact), **(wanted.streets or {})},
        custom={**custom_of(contact, catalogue), **(wanted.custom or {})},
    )
    return laid_over(contact, merged, catalogue, now)


def _with_plain(profile: Profile, wanted: Wanted, now: datetime) -> Profile:
    if wanted.birthday is not None:
        profile = replace(profile, birthday=wanted.birthday if all(wanted.birthday) else None)
    if wanted.anniversary is not None:
        profile = replace(profile, anniversary=wanted.anniversary)
    if wanted.texting is not None:
        profile = replace(profile, texting=_texting(profile.texting, wanted.texting, now))
    if wanted.tags is not None:
        profile = replace(profile, tags=wanted.tags)
    if wanted.notes is not None:
        known = {note.text: note for note in profile.notes}
        notes = tuple(known.get(text) or Note(str(uuid4()), text, now) for text in wanted.notes)
        profile = replace(profile, notes=notes)
    return profile


def _texting(old: Texting | None, wanted: tuple[str, str], now: datetime) -> Texting:
    number, consent = wanted
    if old is not None and (old.number, old.consent) == wanted:
        return old
    return Texting(old.uuid if old else str(uuid4()), number, consent, now)


def _sorted_custom(custom: Mapping[str, str], catalogue: Catalogue) -> tuple[dict[str, str], dict[str, str]]:
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    for uuid, value in custom.items():
        definition = catalogue.field(uuid)
        if definition is not None and definition.element:
            shared[definition.element] = value
        elif value:
            own[uuid] = value
    return shared, own


def _home_fields(contact: Contact, home: Street) -> dict[str, str]:
    """Return v1's elements for a home address; one that came back unchanged keeps its lines."""
    if home == _home(contact.fields):
        return {}
    country = _code(COUNTRIES, home.country.strip(), home.country.strip().lower())
    state = _code(STATES.get(country, {}), home.state.strip(), home.state.strip().upper())
    return {
        **dict.fromkeys(_ADDRESS_LINES, ""),
        "Addr1": home.street,
        "City": home.city,
        "StateName": home.state,
        "StateCode": state,
        "PostalCode": home.postal_code,
        "CountryName": home.country,
        "CountryCode": country,
    }


def _code(names: Mapping[str, str], name: str, code: str) -> str:
    if code in names:
        return code
    return next((each for each, known in names.items() if known == name), "")
