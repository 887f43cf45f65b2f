"""The rows of a contact import: flat, by e-mail, and nobody is told which row failed (v3 sheet §4).

It exists apart from the other activities because rows name things differently: custom fields by name, streets
and phones flat. Only what a row says is updated; a blank says nothing.
"""

from __future__ import annotations

from dataclasses import replace

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.activities import Outcome
from django_ctct.sandbox.catalogue import Catalogue
from django_ctct.sandbox.details import Wanted, streets_of
from django_ctct.sandbox.json_read import Sent
from django_ctct.sandbox.people import People
from django_ctct.sandbox.profile import PhoneKind, Street, StreetKind
from django_ctct.sandbox.values import Refused, Source

_PARTS = {"street": "street", "city": "city", "state": "state", "zip": "postal_code", "country": "country"}


class Importer:
    """Carry out imports into one account."""

    def __init__(self, account: Account, catalogue: Catalogue, people: People) -> None:
        self._account = account
        self._catalogue = catalogue
        self._people = people

    def run(self, rows: list[Sent], lists: frozenset[int]) -> Outcome:
        """Import the rows in their order, so that the last of several for one address wins."""
        living = self._account.shelf.known(lists)
        told = [self._enter(Sent(row.given), living) for row in rows]
        counts = {
            "items_total_count": len(rows),
            "items_completed_count": len(rows),
            "person_count": sum(each != "error" for each in told),
            "error_count": told.count("error"),
            "correctable_count": 0,
            "cannot_add_to_list_count": told.count("no list"),
        }
        return Outcome(counts)

    def _enter(self, row: Sent, lists: frozenset[int]) -> str:
        wanted = self._wanted(row, lists)
        if row.problems or wanted.address is None:
            return "error"
        try:
            _, on_lists = self._people.enter(wanted)
        except Refused:
            return "error"
        return "entered" if on_lists else "no list"

    def _wanted(self, row: Sent, lists: frozenset[int]) -> Wanted:
        address = row.address("email", 50)
        return Wanted(
            source=Source.CUSTOMER,
            address=address,
            core={name: text for name, text in row.core().items() if text},
            birthday=row.birthday(),
            anniversary=row.anniversary() or None,
            phones=_phones(row),
            streets=self._streets(row, address or ""),
            custom=self._custom(row),
            lists=lists,
        )

    def _streets(self, row: Sent, address: str) -> dict[StreetKind, Street]:
        """Return the streets of a row, laid over those that the contact has; without a kind it is other."""
        known = self._account.find(address.lower())
        had = streets_of(known) if known else {}
        found = {}
        for kind in StreetKind:
            prefixes = (f"{kind}_", "") if kind is StreetKind.OTHER else (f"{kind}_",)
            parts = {
                part: text
                for prefix in prefixes
                for name, part in _PARTS.items()
                if (text := row.text(prefix + name, 255))
            }
            if parts:
                found[kind] = replace(had.get(kind, Street()), **parts)
        return found

    def _custom(self, row: Sent) -> dict[str, str]:
        values = {}
        for key in row.given:
            if not key.startswith("cf:") or not (text := row.text(key, 255)):
                continue
            definition = self._catalogue.field_named(key.removeprefix("cf:"))
            if definition is None:
                row.wrong("a custom field")
            else:
                values[definition.uuid] = text
        return values


def _phones(row: Sent) -> dict[PhoneKind, str]:
    named = {kind: row.text(f"{kind}_phone", 25) for kind in PhoneKind}
    if plain := row.text("phone", 25):
        named[PhoneKind.OTHER] = plain
    return {kind: number for kind, number in named.items() if number}
