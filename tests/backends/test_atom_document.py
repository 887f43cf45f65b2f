"""A document that was read goes back as it was, and a hostile one is refused early."""

from __future__ import annotations

import resource
import time
from xml.etree.ElementTree import canonicalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_ctct.backends.atom_document import Breach, Comment, Element, Instruction, Unreadable, parse, serialize
from django_ctct.backends.atom_entry import CTCT, AccountIds, Source, edited_contact, read_contact
from django_ctct.types import Permit, Verb

from .builders import ATTEMPT, ID, contact, membership

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


def fielded(texts: dict[str, str]) -> dict[str, str]:
    return {name: escaped(text) for name, text in texts.items()}


FIELDS_OF_ANYBODY = st.fixed_dictionaries(
    {"note": st.text(CHARACTERS, max_size=500), "custom:7": TEXT, "first_name": TEXT, "company_name": TEXT}
).map(fielded)


@settings(max_examples=150, deadline=None)
@given(extra=st.lists(unknown(), max_size=4), inside=unknown(), fields=FIELDS_OF_ANYBODY, keep=st.booleans())
def test_any_contact_goes_back_unchanged_but_for_what_was_set(
    extra: list[str], inside: str, fields: dict[str, str], keep: bool
) -> None:
    kept = membership("7").replace("</ContactList>", f"{inside}</ContactList>")
    lists = f"<ContactLists>{membership('1')}{kept}</ContactLists>"
    document = contact(extra="".join(extra), fields=fields, contact_lists=lists)
    existing = read_contact(parse(document.encode()), IDS)
    assert isinstance(existing.document, Source)

    wanted = frozenset({"7", "1"} if keep else {"7", "30"})
    permit = Permit(ATTEMPT, Verb.UPDATE, existing.email, wanted)
    written = serialize(edited_contact(existing, existing.document, permit, IDS)).decode()

    new = "" if keep else f'<ContactList id="{ID}/lists/30"></ContactList>'
    lists = lists if keep else f"<ContactLists>{kept}{new}</ContactLists>"
    source = "" if "<OptInSource>" in "".join(extra) else "<OptInSource>ACTION_BY_CUSTOMER</OptInSource>"
    expected = contact(extra="".join(extra), fields=fields, contact_lists=source + lists)
    assert canonicalize(without_declaration(written), with_comments=True) == canonicalize(
        without_declaration(expected), with_comments=True
    )
    again = read_contact(parse(written.encode()), IDS)
    assert set(again.lists) == wanted
    assert again.fields == existing.fields


def test_prefixes_of_the_server_are_used_for_what_is_new() -> None:
    document = f"""<a:entry xmlns:a="http://www.w3.org/2005/Atom" xmlns:c="{CTCT}">
    <a:id>{ID}/contacts/2</a:id><a:content>
    <c:Contact><c:Status>Removed</c:Status><c:EmailAddress>kim@example.com</c:EmailAddress></c:Contact>
    </a:content></a:entry>"""
    existing = read_contact(parse(document.encode()), IDS)
    assert isinstance(existing.document, Source)
    permit = Permit(ATTEMPT, Verb.UPDATE, "kim@example.com", frozenset({"1"}), {"first_name": "Kim"})
    written = serialize(edited_contact(existing, existing.document, permit, IDS)).decode()
    assert "<c:FirstName>Kim</c:FirstName><c:OptInSource>" in written
    assert f'<c:ContactLists><c:ContactList id="{ID}/lists/1"></c:ContactList></c:ContactLists>' in written
    assert read_contact(parse(written.encode()), IDS).fields == {"first_name": "Kim"}


# Hostile documents

MIB = 1024 * 1024


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
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(kind) as caught:
        parse(body)
    took, grown = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert getattr(caught.value, "code", "") == code
    assert took < 2  # loosely: 0.2 s is the goal on an idle machine
    assert grown < 64 * 1024  # KiB, loosely: 32 MiB is the goal


def test_as_much_as_is_allowed_is_read() -> None:
    assert len(parse(b"<a>" + b"<b/>" * 19_990 + b"</a>").children) == 19_990
    assert parse(b"<a>" * 32 + b"</a>" * 32).local == "a"
    assert len(parse(b"<a>" + b"x" * 64 * 1024 + b"</a>").text) == 64 * 1024
