"""A document that was read goes back as it was, and a hostile one is refused early."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import canonicalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_ctct.backends.atom_document import Breach, Comment, Element, Instruction, Unreadable, parse, serialize
from django_ctct.backends.atom_entry import (
    ATOM,
    CTCT,
    FIELDS,
    AccountIds,
    Source,
    edited_contact,
    read_contact,
    read_list,
    renamed_list,
)
from django_ctct.types import ContactStatus, OptInSource, Permit, RemoteList, Verb

from .builders import ATTEMPT, ID, LIST_FIELDS, contact, listed, membership, with_strange
from .cost import MIB, cost_of

IDS = AccountIds("acme", frozenset({"api.constantcontact.com"}))

GOLDEN = """<?xml version='1.0' encoding='UTF-8'?>
<!-- before -->
<a:entry xmlns:a="http://www.w3.org/2005/Atom" xmlns="urn:one" xmlns:again="http://www.w3.org/2005/Atom" xml:lang="de">
  <again:id again:note="&lt;&amp;&quot;'&#9;&#10;&#13;x" plain="&gt;">one &amp; two &lt; three &#13; ]]&gt;</again:id>
  <?keep this="too"?><!-- and <this> -->
  <child xmlns="urn:two"><inner xmlns=""><leaf xmlns:q="urn:q" q:a="1" b="2"/></inner><q:x xmlns:q="urn:other"/></child>
  <x:ml xmlns:x="urn:two" type="x:named-in-text"><![CDATA[<raw> & 😀]]></x:ml>
  <empty></empty><preserved xml:space="preserve">  two
  lines </preserved>
</a:entry>
<!-- after -->"""


def without_declaration(document: str) -> str:
    return document.split("?>", 1)[1]


def test_the_golden_document_goes_back_with_its_prefixes_and_declarations() -> None:
    written = serialize(parse(GOLDEN.encode())).decode()
    inside = GOLDEN[GOLDEN.index("<a:entry") : GOLDEN.index("<!-- after")]
    assert canonicalize(without_declaration(written), with_comments=True) == canonicalize(inside, with_comments=True)
    for detail in (
        "<a:entry xmlns:a=",
        'xmlns="urn:one"',
        "<again:id again:note=",
        "<x:ml xmlns:x=",
        '<inner xmlns="">',
    ):
        assert detail in written
    assert '<?keep this="too"?><!-- and <this> -->' in written


def test_a_document_in_another_encoding_goes_back_in_utf_8() -> None:
    read = parse("<?xml version='1.0' encoding='ISO-8859-1'?><a>Zoë</a>".encode("latin-1"))
    assert serialize(read).endswith("<a>Zoë</a>".encode())


def test_what_xml_cannot_carry_becomes_a_blank() -> None:
    element = Element("", "a", attributes=(("b", "\x00\ud800"),), children=("x\x0b\ufffey",))
    assert serialize(element).endswith(b'<a b="  ">x  y</a>')


def test_text_comments_and_instructions_are_told_apart() -> None:
    root = parse(b"<a>one<!--two--><?three four?>five<b>six</b></a>")
    assert root.children[:4] == ("one", Comment("two"), Instruction("three", "four"), "five")
    assert root.text == "onefive"


# Any document

CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
TEXT = st.text(CHARACTERS | st.sampled_from("\t\n\r<>&\"'😀"), max_size=30)
NAMES = st.sampled_from(["Later", "x", "Größe", "a.b-c_d", "Status2"])
COMMENTS = st.text(CHARACTERS, max_size=20).filter(lambda text: "--" not in text and not text.endswith("-"))
SPACES = st.sampled_from(["urn:one", "urn:two", "http://www.w3.org/2005/Atom", "http://ws.constantcontact.com/ns/1.0/"])


def escaped(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\r", "&#13;")):
        text = text.replace(sign, entity)
    return text.replace("\t", "&#9;").replace("\n", "&#10;")


@st.composite
def unknown(draw: st.DrawFn, depth: int = 3) -> str:
    """Draw an element that no version of the protocol has, with whatever may be in it."""
    prefix = draw(st.sampled_from(["", "p", "q"]))
    name = draw(NAMES)
    tag = f"{prefix}:{name}" if prefix else name
    spaces = f' xmlns{":" if prefix else ""}{prefix}="{draw(SPACES)}"'
    attributes = f' {name}="{escaped(draw(TEXT))}"' + (f' {prefix}:b="{escaped(draw(TEXT))}"' if prefix else "")
    content = draw(
        st.lists(
            TEXT.map(escaped)
            | COMMENTS.map(lambda text: f"<!--{text}-->")
            | st.just("<?later on?>")
            | (unknown(depth=depth - 1) if depth else st.nothing()),
            max_size=3,
        )
    )
    return f"<{tag}{spaces}{attributes}>{''.join(content)}</{tag}>"


#: What nobody knows about one element: attributes of it, and nodes in it.
Strange = tuple[str, str]


@st.composite
def strange(draw: st.DrawFn) -> Strange:
    attributes = (
        f' xmlns:z="{draw(SPACES)}" z:{draw(NAMES)}="{escaped(draw(TEXT))}" {draw(NAMES)}="{escaped(draw(TEXT))}"'
    )
    return draw(st.sampled_from(["", attributes])), "".join(draw(st.lists(unknown(), max_size=2)))


BLANKS = st.sampled_from(["", "\n        "])
BETWEEN = BLANKS | COMMENTS.map(lambda text: f"<!--{text}-->") | unknown()
WORDS = st.sampled_from(["", "ACTION_BY_CUSTOMER", "ACTION_BY_CONTACT", "action_by_customer"])
TEXTS = st.dictionaries(st.sampled_from(list(FIELDS)), TEXT, max_size=4)
LISTS = ("1", "7", "30")
CONSTANTS = {OptInSource.SITE: "ACTION_BY_CUSTOMER", OptInSource.CONTACT: "ACTION_BY_CONTACT"}


@dataclass(frozen=True)
class Anybody:
    """A contact with something unknown in every place. ``lists`` are the memberships with what stands after each."""

    status: str
    address: str
    texts: dict[str, str]
    source: str
    lists: tuple[tuple[str, str], ...]
    before: str
    strange: dict[str, Strange]

    def __str__(self) -> str:
        source = self.source and f"<OptInSource>{self.source}</OptInSource>"
        document = contact(
            status=f"<Status>{self.status}</Status>",
            address=f"<EmailAddress>{self.address}</EmailAddress>",
            fields={name: escaped(text) for name, text in self.texts.items()},
            contact_lists=source + with_strange(self._contact_lists(), "ContactLists", self.strange["ContactLists"][0]),
        )
        for place in ("Contact", "content", "entry"):
            document = with_strange(document, place, *self.strange[place])
        return document

    def _contact_lists(self) -> str:
        return f"<ContactLists>{self.before}{''.join(one + after for one, after in self.lists)}</ContactLists>"


@st.composite
def anybody(draw: st.DrawFn) -> Anybody:
    held = [with_strange(membership(one), "ContactList", *draw(strange())) for one in LISTS[:2] if draw(st.booleans())]
    return Anybody(
        status=draw(st.sampled_from([status.label for status in ContactStatus])),
        address=draw(st.sampled_from(["kim@example.com", "Kim@Example.com"])),
        texts=draw(TEXTS),
        source=draw(WORDS),
        lists=tuple((one, draw(BETWEEN)) for one in held),
        before=draw(BETWEEN),
        strange={place: draw(strange()) for place in ("entry", "content", "Contact", "ContactLists")},
    )


def as_set(one: Anybody, permit: Permit, new_address: bool) -> Anybody:
    """Say what the document has to be after a write: nothing is another but what the permit sets."""
    lists = [(each if _names(each, permit) else "", after) for each, after in one.lists]
    missing = [each for each in LISTS if each in permit.lists and not any(_id(each) in held for held, _ in one.lists)]
    lists += [(f"<ContactList {_id(each)}></ContactList>", "") for each in missing]
    bare = not f"{one.before}{''.join(each + after for each, after in lists)}".strip()
    return replace(
        one,
        address=permit.email if new_address else one.address,
        texts={**one.texts, **permit.fields},
        source=CONSTANTS[permit.source],
        lists=() if bare else tuple(lists),
        before="" if bare else one.before,
    )


def _names(held: str, permit: Permit) -> bool:
    return any(_id(one) in held for one in permit.lists)


def _id(list_id: str) -> str:
    return f'id="{ID}/lists/{list_id}"'


def same(one: str, other: str) -> bool:
    """Compare as canonical XML, prefixes, blanks and comments included."""
    return canonicalize(without_declaration(one), with_comments=True) == canonicalize(
        without_declaration(other), with_comments=True
    )


@settings(max_examples=150, deadline=None)
@given(
    one=anybody(),
    wanted=st.frozensets(st.sampled_from(LISTS)),
    fields=TEXTS,
    new_address=st.booleans(),
    source=st.sampled_from(OptInSource),
)
def test_any_contact_goes_back_unchanged_but_for_what_was_set(
    one: Anybody, wanted: frozenset[str], fields: dict[str, str], new_address: bool, source: OptInSource
) -> None:
    existing = read_contact(parse(str(one).encode()), IDS)
    assert isinstance(existing.document, Source)
    address = "new@example.com" if new_address else existing.email
    permit = Permit(ATTEMPT, Verb.UPDATE, address, wanted, fields, source)
    written = serialize(edited_contact(existing, existing.document, permit, IDS)).decode()

    assert same(written, str(as_set(one, permit, new_address)))
    again = read_contact(parse(written.encode()), IDS)
    assert (set(again.lists), again.email) == (wanted, address)
    assert dict(again.fields) == {name: text for name, text in {**existing.fields, **fields}.items() if text.strip()}


def edited(document: str, lists: Iterable[str] = (), **more: Any) -> str:
    """Read a contact and write it again."""
    existing = read_contact(parse(document.encode()), IDS)
    assert isinstance(existing.document, Source)
    permit = Permit(ATTEMPT, Verb.UPDATE, existing.email, frozenset(lists), **more)
    return serialize(edited_contact(existing, existing.document, permit, IDS)).decode()


def test_who_leaves_her_last_list_keeps_what_else_is_in_contact_lists() -> None:
    kept = '<Later a="1"/><!-- note --><x:ContactList xmlns:x="urn:one" id="1"/>'
    lists = f'<ContactLists odd="x">{membership("1")}{kept}</ContactLists>'
    source = "<OptInSource>ACTION_BY_CUSTOMER</OptInSource>"
    expected = contact(contact_lists=f'{source}<ContactLists odd="x">{kept}</ContactLists>')
    assert same(edited(contact(contact_lists=lists)), expected)


def test_line_breaks_alone_are_not_left_in_contact_lists() -> None:
    written = edited(contact(contact_lists=f"<ContactLists>\n  {membership('1')}\n</ContactLists>"))
    assert "<ContactLists></ContactLists>" in written


def test_a_note_of_500_characters_with_emoji_goes_back_whole() -> None:
    note = "Grüße 😀👩‍👧 " * 50
    assert len(note[:500]) == 500
    written = edited(contact(fields={"note": note[:500]}), lists=["1"])
    assert f"<Note>{note[:500]}</Note>" in written
    written = edited(contact(), lists=["1"], fields={"note": note[:500]})
    assert read_contact(parse(written.encode()), IDS).fields["note"] == note[:500]


def test_a_field_that_is_set_keeps_what_else_is_on_it_and_in_it() -> None:
    document = contact().replace("<FirstName>Kim<", '<FirstName odd="x">Ki<!-- i --><Later/>m<')
    written = edited(document, lists=["1"], fields={"first_name": "Kay"})
    assert '<FirstName odd="x">Kay<!-- i --><Later></Later></FirstName>' in written


def test_a_new_list_has_the_prefix_of_contact_lists() -> None:
    lists = f'<l:ContactLists xmlns:l="{CTCT}" xmlns="urn:one"><l:ContactList {_id("1")}/><Later/></l:ContactLists>'
    written = edited(contact(contact_lists=lists), lists=["1", "7"])
    assert set(read_contact(parse(written.encode()), IDS).lists) == {"1", "7"}


def a_list(name: str, strange: dict[str, Strange]) -> str:
    document = listed("1", "Free", LIST_FIELDS, ns=f' xmlns="{ATOM}"').replace("<Name>Free<", f"<Name>{escaped(name)}<")
    for place in ("ContactList", "content", "entry"):
        document = with_strange(document, place, *strange[place])
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{document}"


@settings(deadline=None)
@given(
    name=TEXT.filter(str.strip),
    everywhere=st.fixed_dictionaries(dict.fromkeys(("ContactList", "content", "entry"), strange())),
)
def test_any_list_goes_back_unchanged_but_for_its_name(name: str, everywhere: dict[str, Strange]) -> None:
    written = serialize(renamed_list(parse(a_list("Free", everywhere).encode()), name)).decode()
    assert same(written, a_list(name, everywhere))
    assert read_list(parse(written.encode()), IDS) == RemoteList("1", name.strip(), 42)


def test_prefixes_of_the_server_are_used_for_what_is_new() -> None:
    document = f"""<a:entry xmlns:a="http://www.w3.org/2005/Atom" xmlns:c="{CTCT}">
    <a:id>{ID}/contacts/2</a:id><a:content>
    <c:Contact><c:Status>Removed</c:Status><c:EmailAddress>kim@example.com</c:EmailAddress></c:Contact>
    </a:content></a:entry>"""
    written = edited(document, lists=["1"], fields={"first_name": "Kim"})
    assert "<c:FirstName>Kim</c:FirstName><c:OptInSource>" in written
    assert f'<c:ContactLists><c:ContactList id="{ID}/lists/1"></c:ContactList></c:ContactLists>' in written
    assert read_contact(parse(written.encode()), IDS).fields == {"first_name": "Kim"}


# Hostile documents


def attributes(count: int, prefix: bytes = b"") -> bytes:
    return b" ".join(prefix + b"a%d='x'" % n for n in range(count))


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS: list[tuple[str, bytes, type[Exception], str]] = [
    ("nested too deeply", b"<a>" * 460_000 + b"</a>" * 460_000, Unreadable, "too_large"),
    ("nested just too deeply", b"<a>" * 33 + b"</a>" * 33, Unreadable, "too_large"),
    ("too many siblings", b"<a>" + b"<b/>" * 2_000_000 + b"</a>", Unreadable, "too_large"),
    ("too many comments", b"<a>" + b"<!---->" * 1_000_000 + b"</a>", Unreadable, "too_large"),
    ("a text too long", b"<a>" + b"x" * 8 * MIB + b"</a>", Unreadable, "too_large"),
    ("a text too long in pieces", b"<a>" + b"x&amp;" * 100_000 + b"</a>", Unreadable, "too_large"),
    ("an attribute too long", b"<a b='" + b"x" * 8 * MIB + b"'/>", Unreadable, "too_large"),
    ("a comment too long", b"<a><!--" + b"x" * 8 * MIB + b"--></a>", Unreadable, "too_large"),
    ("an instruction too long", b"<a><?b " + b"x" * 8 * MIB + b"?></a>", Unreadable, "too_large"),
    ("an attribute just too long", b"<a b='" + b"x" * (64 * 1024 + 1) + b"'/>", Unreadable, "too_large"),
    ("a comment just too long", b"<a><!--" + b"x" * (64 * 1024 + 1) + b"--></a>", Unreadable, "too_large"),
    ("too many attributes", b"<a " + attributes(65) + b"/>", Unreadable, "too_large"),
    ("very many attributes", b"<a " + attributes(500_000) + b"/>", Unreadable, "too_large"),
    ("too many namespaces", b"<a " + attributes(99, b"xmlns:") + b"/>", Unreadable, "too_large"),
    ("laughs", f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>'.encode(), Breach, "dtd"),
    ("a file", b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>', Breach, "dtd"),
    ("a DTD elsewhere", b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>', Breach, "dtd"),
    ("an entity that nobody declared", b"<a>&f;</a>", Unreadable, "unreadable"),
    ("nulls", b"\x00" * MIB, Unreadable, "unreadable"),
    ("an unbound prefix", b"<p:a/>", Unreadable, "unreadable"),
    ("two roots", b"<a/><a/>", Unreadable, "unreadable"),
    ("nothing", b"", Unreadable, "unreadable"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "code"), [row[1:] for row in BOMBS], ids=[row[0] for row in BOMBS])
def test_a_hostile_document_is_refused_soon_and_cheaply(body: bytes, kind: type[Exception], code: str) -> None:
    def refuse() -> None:
        with pytest.raises(kind) as caught:
            parse(body)
        assert getattr(caught.value, "code", "") == code

    took, held = cost_of(refuse)
    assert took < 2  # loosely: 0.2 s is the goal on an idle machine
    assert held < 8 * MIB


def test_as_much_as_is_allowed_is_read() -> None:
    assert len(parse(b"<a>" + b"<b/>" * 19_990 + b"</a>").children) == 19_990
    assert parse(b"<a>" * 32 + b"</a>" * 32).local == "a"
    assert len(parse(b"<a>" + b"x" * 64 * 1024 + b"</a>").text) == 64 * 1024
