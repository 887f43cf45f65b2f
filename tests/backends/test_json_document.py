"""What was read goes back as it was, nobody's permission is raised, and a hostile document is refused early."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from django_ctct.backends.json_contact import Source, edited_contact, opted_out_contact, read_contact
from django_ctct.backends.json_document import MAX_NODES, Breach, Unreadable, decode, encode
from django_ctct.backends.json_fields import FIELDS, CustomFields
from django_ctct.backends.json_payload import FieldPayload
from django_ctct.types import OptInSource, Permit, RemoteContact, Verb

from .builders import ATTEMPT
from .cost import MIB, cost_of
from .json_builders import FREE, KIM, NEWS, PAID, TIER, contact, uid

PERMISSIONS = ["explicit", "implicit", "not_set", "pending_confirmation", "temp_hold", "unsubscribed"]
CUSTOM = CustomFields([FieldPayload(TIER, "tier", "string")])


def read(document: object) -> RemoteContact:
    found = read_contact(document, lambda *_: CUSTOM)
    assert found is not None
    return found


def source_of(found: RemoteContact) -> Source:
    assert isinstance(found.document, Source)
    return found.document


# Documents


def texts(**more: Any) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), **more)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | texts(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_what_is_read_and_written_is_equal(value: Any) -> None:
    assert decode(encode(decode(encode(value)))) == decode(encode(value)) == value


def test_numbers_keep_their_digits() -> None:
    for number in ("1.10", "123456789012345678901234567890", "1E+400", "-0.0", "0.1000000000000000055511151231257827"):
        assert encode(decode(f"[{number}]".encode())) == f"[{number}]".encode()
    assert decode(b"[1.10]") == [Decimal("1.10")]


# Contacts

#: Names that v3 does not have, or not yet.
unknown_names = st.sampled_from(["x_", "x_é", "x_\x00", "x_contact_id", "x_ y"])
some_values = st.sampled_from(
    [None, True, 10**25, Decimal("1.10"), "", "\u2028", [], [[{}]], {"a": None}, {"x": [1.5]}]
)
unknown = st.dictionaries(unknown_names, some_values, max_size=2)


@st.composite
def contacts(draw: st.DrawFn, permission: str | None = None) -> dict[str, Any]:
    """Build a contact with unknown members wherever an object is."""
    many = {"max_size": 2}
    kinds = st.sampled_from(["home", "work", "mobile", "other", "new"])
    phones = st.builds(lambda kind, more: {"phone_number": "1", "kind": kind, **more}, kinds, unknown)
    streets = st.builds(lambda kind, more: {"kind": kind, "street": "A 1", **more}, kinds, unknown)
    held = st.builds(lambda n, more: {"custom_field_id": uid(n, "f"), "value": "x", **more}, st.integers(1, 3), unknown)
    notes = st.builds(lambda more: {"content": "called", **more}, unknown)
    return contact(
        permission=permission or draw(st.sampled_from(PERMISSIONS)),
        lists=draw(st.lists(st.sampled_from([FREE, PAID, NEWS]), unique=True)),
        opt=draw(unknown),
        phone_numbers=draw(st.lists(phones, **many)),
        street_addresses=draw(st.lists(streets, **many)),
        custom_fields=draw(st.lists(held, **many)),
        notes=draw(st.lists(notes, **many)),
        taggings=draw(st.lists(st.just(uid(1, "2")), **many)),
        **draw(st.sampled_from([{}, {"deleted_at": "2016-07-08"}])),
        **draw(unknown),
    )


permits = st.builds(
    Permit,
    attempt=st.just(ATTEMPT),
    verb=st.just(Verb.UPDATE),
    email=st.sampled_from(["kim@example.com", "new@example.com"]),
    lists=st.frozensets(st.sampled_from([FREE, PAID, NEWS])),
    fields=st.dictionaries(st.sampled_from([*FIELDS, "custom:tier"]), texts(min_size=1, max_size=9), max_size=4),
    source=st.sampled_from(OptInSource),
)


def members(document: object) -> list[tuple[str, object]]:
    """Return every member of every object that v3 does not have, in order, with its value."""
    found: list[tuple[str, object]] = []
    if isinstance(document, dict):
        for name, value in document.items():
            found += [(name, value)] if name.startswith("x_") else members(value)
    elif isinstance(document, list):
        for one in document:
            found += members(one)
    return found


@given(contacts(), permits)
def test_unknown_members_survive_wherever_they_are(document: dict[str, Any], permit: Permit) -> None:
    source = source_of(read(decode(encode(document))))
    for body in (edited_contact(source, permit, CUSTOM), opted_out_contact(source, permit)):
        assert sorted(members(decode(encode(body))), key=repr) == sorted(members(document), key=repr)


@given(contacts(), permits)
def test_nobodys_permission_is_raised_but_by_her_own_act(document: dict[str, Any], permit: Permit) -> None:
    before = document["email_address"]["permission_to_send"]
    body = edited_contact(source_of(read(document)), permit, CUSTOM)
    after = body["email_address"]["permission_to_send"]
    if after != before:
        assert (before, after, permit.source) == ("unsubscribed", "explicit", OptInSource.CONTACT)
        assert body["update_source"] == "Contact"
        assert permit.lists


@given(contacts(), permits)
def test_an_opt_out_is_one_whatever_the_document(document: dict[str, Any], permit: Permit) -> None:
    body = opted_out_contact(source_of(read(document)), permit)
    assert body["email_address"]["permission_to_send"] == "unsubscribed"
    assert body.get("list_memberships", []) == document["list_memberships"]


@given(contacts(), permits)
def test_a_document_that_was_read_is_never_changed(document: dict[str, Any], permit: Permit) -> None:
    before = json.dumps(document, default=str)
    source = source_of(read(document))
    edited_contact(source, permit, CUSTOM)
    opted_out_contact(source, permit)
    assert json.dumps(document, default=str) == before


@given(contacts())
def test_what_was_read_and_written_back_unchanged_reads_equal(document: dict[str, Any]) -> None:
    assume("deleted_at" not in document)
    found = read(document)
    permit = Permit(ATTEMPT, Verb.UPDATE, found.email, frozenset(document["list_memberships"]))
    body = edited_contact(source_of(found), permit, CUSTOM)
    again = read({"contact_id": KIM, "list_memberships": [], **body})
    assert again == found
    assert edited_contact(source_of(again), permit, CUSTOM) == body


@given(contacts("implicit"), permits)
def test_what_a_permit_says_is_what_is_read_afterwards(document: dict[str, Any], permit: Permit) -> None:
    assume(permit.lists)
    assume("deleted_at" not in document)
    clean = {name: "".join(value.split()) for name, value in permit.fields.items()}
    assume(all(value and "\x00" not in value for value in clean.values()))
    permit = Permit(ATTEMPT, Verb.UPDATE, permit.email, permit.lists, clean, permit.source)
    again = read({"contact_id": KIM, **edited_contact(source_of(read(document)), permit, CUSTOM)})
    assert (again.email, set(again.lists)) == (permit.email, permit.lists)
    lines = {"addr1", "addr2", "addr3"}
    if not lines & set(clean) or "addr1" in clean:
        assert again.fields.items() >= clean.items()


# Hostile documents

HOSTILE = [
    b"[" * 4_000_000,
    b'{"a":' * 1_000_000,
    b"[]," * 2_000_000,
    b'"' + b'\\"' * 3_000_000,
    b'"\\' * 3_000_000,
    b'["' + b"x" * 6_000_000,
    b"9" * 6_000_000,
    b"[" + b'"",' * 2_000_000 + b'""]',
    b'"a"' * 2_000_000,
    b"\xff" * 1000,
    b"{" + b'"a":0,' * (MAX_NODES + 1) + b'"a":0}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_document_is_refused_quickly_and_cheaply(body: bytes) -> None:
    def refuse() -> None:
        with pytest.raises((Breach, Unreadable)):
            decode(body)

    took, held = cost_of(refuse)
    assert took < 1.5
    assert held < 16 * MIB


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(Breach, Unreadable):
        decode(body)


def test_brackets_in_texts_are_no_depth() -> None:
    assert decode(b'["' + b"[" * 99 + b'\\"[", "\\\\"]') == ["[" * 99 + '"[', "\\"]


@pytest.mark.parametrize("text", [r"\"", r"\\", r"\\\"", r"\"\"\\", r"x\\\\\"", r"\u0022", r"\/\"\\\""])
def test_an_escape_is_neither_the_end_of_a_text_nor_hides_one(text: str) -> None:
    brackets = "[" * 40
    assert decode(f'["{text}{brackets}", "{text}"]'.encode()) == json.loads(f'["{text}{brackets}", "{text}"]')
    for deep in (f'["{text}", {brackets}{"]" * 40}]', f'["{text}", {brackets}'):
        with pytest.raises(Breach) as caught:
            decode(deep.encode())
        assert caught.value.code == "too_deep"


@pytest.mark.parametrize(("inside", "levels"), [('""', 0), ("7, [], {}", 1), ('"[]", {"a": []}', 2)])
def test_thirty_two_levels_are_read_and_one_more_is_not(inside: str, levels: int) -> None:
    around = 32 - levels
    decode(("[" * around + inside + "]" * around).encode())
    with pytest.raises(Breach) as caught:
        decode(("[" * (around + 1) + inside + "]" * (around + 1)).encode())
    assert caught.value.code == "too_deep"


def test_what_does_not_close_is_no_json_and_not_deep() -> None:
    for body in (b'[{"a": [', b"[}", b"]]]", b'{"contacts": [{"a": 1}'):
        with pytest.raises(Unreadable):
            decode(body)


def test_a_full_page_is_within_the_size() -> None:
    row = contact(lists=[uid(n, "1") for n in range(50)], taggings=[uid(n, "2") for n in range(50)])
    decode(json.dumps({"contacts": [row] * 500}).encode())
