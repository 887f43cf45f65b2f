"""The exact requests of the v1 wire: method, address, headers, and the body as canonical XML.

The names follow the rows of the requirements (S0a … S3c).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import responses

from django_ctct.backends.atom_entry import ELEMENTS, FIELDS
from django_ctct.exceptions import RemoteConflict, RequestRejected
from django_ctct.types import ContactStatus, OptInSource, RemoteContact, RemoteList, Verb

from .builders import (
    BASE,
    ID,
    LIST_FIELDS,
    backend,
    canonical,
    contact,
    feed,
    listed,
    member,
    membership,
    permit,
    same_xml,
    summary,
)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def read(wire: responses.RequestsMock, document: str, **headers: str) -> RemoteContact:
    wire.get(f"{BASE}/contacts/2", body=document, headers=headers)
    found = backend().get("2")
    assert found is not None
    return found


def put_body(wire: responses.RequestsMock, existing: RemoteContact, **more: object) -> str:
    wire.put(f"{BASE}/contacts/2", status=204)
    backend().update(existing, permit(**more))  # type: ignore[arg-type]
    body = wire.calls[-1].request.body
    assert isinstance(body, bytes)
    return body.decode()


class TestSeed0:
    def test_S0a_leaving_the_last_list_is_a_put_with_an_empty_contact_lists(self, wire: responses.RequestsMock) -> None:
        body = put_body(wire, read(wire, contact(lists=["1"])), lists=())

        request = wire.calls[-1].request
        assert (request.method, request.url) == ("PUT", f"{BASE}/contacts/2")
        assert request.headers["Content-Type"] == "application/atom+xml"
        expected = contact(contact_lists="<OptInSource>ACTION_BY_CUSTOMER</OptInSource><ContactLists></ContactLists>")
        assert same_xml(body, expected)
        assert "<ContactLists></ContactLists>" in body

    def test_S0b_every_put_has_its_opt_in_source_at_contact_level(self, wire: responses.RequestsMock) -> None:
        for lists in ((), ("1",), ("1", "2")):
            body = put_body(wire, read(wire, contact()), lists=lists)
            outside = body.split("<ContactLists>")[0]
            assert outside.count("<OptInSource>ACTION_BY_CUSTOMER</OptInSource>") == 1

    def test_S0d_an_update_never_posts(self, wire: responses.RequestsMock) -> None:
        put_body(wire, read(wire, contact()), lists=())
        assert [call.request.method for call in wire.calls] == ["GET", "PUT"]

    @pytest.mark.parametrize("word", ["on", "one"])
    def test_S0d_the_refusal_for_want_of_a_list_is_understood(self, wire: responses.RequestsMock, word: str) -> None:
        text = f"Error 400: The new contact must contain at least {word} valid ContactList"
        wire.post(f"{BASE}/contacts", status=400, body=text)
        with pytest.raises(RequestRejected) as caught:
            backend().create(permit(Verb.CREATE, lists=["9"]))
        assert caught.value.code == "no_valid_list"

    def test_S0d_nobody_is_created_on_no_list(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(RequestRejected, match="on no list"):
            backend().create(permit(Verb.CREATE))
        assert not wire.calls


class TestSeed1:
    def test_S1a_contact_lists_is_the_complete_membership(self, wire: responses.RequestsMock) -> None:
        body = put_body(wire, read(wire, contact(lists=["1", "11"])), lists=["11", "14", "2"])

        new = "".join(f'<ContactList id="{ID}/lists/{one}"/>' for one in ("2", "14"))
        kept = f"<ContactLists>{membership('11')}{new}</ContactLists>"
        assert same_xml(body, contact(contact_lists=f"<OptInSource>ACTION_BY_CUSTOMER</OptInSource>{kept}"))

    def test_S1a_a_kept_membership_goes_back_byte_for_byte(self, wire: responses.RequestsMock) -> None:
        odd = (
            membership("1")
            .replace("<OptInTime>", '<Odd a="b"><!-- kept --></Odd><OptInTime>')
            .replace(" />", "></link>")
        )
        body = put_body(wire, read(wire, contact(contact_lists=f"<ContactLists>{odd}</ContactLists>")), lists=["1"])
        assert odd in body

    def test_S1a_what_is_between_the_lists_stays_after_the_last_one_too(self, wire: responses.RequestsMock) -> None:
        lists = f"<ContactLists><!-- a -->{membership('1')}<Odd/>{membership('2')} </ContactLists>"
        existing = read(wire, contact(contact_lists=lists))
        assert f"<!-- a --><Odd></Odd>{membership('2')[:30]}" in put_body(wire, existing, lists=["2"])
        assert "<ContactLists><!-- a --><Odd></Odd> </ContactLists>" in put_body(wire, existing)

    def test_S1a_list_ids_name_the_vendor_even_when_calls_go_elsewhere(self, wire: responses.RequestsMock) -> None:
        wire.post("http://127.0.0.1:8900/ws/customers/acme/contacts", status=201, body=contact())
        backend(base_url="http://127.0.0.1:8900/").create(permit(Verb.CREATE, lists=["1"]))
        assert f'<ContactList id="{ID}/lists/1"></ContactList>' in str(wire.calls[0].request.body)

    def test_S1b_a_value_that_is_too_long_goes_out_cut(self, wire: responses.RequestsMock) -> None:
        fields = {"note": "n" * 600, "first_name": "é" * 51, "state_code": "Massachusetts", "unheard_of": "x"}
        body = put_body(wire, read(wire, contact()), lists=["1"], fields=fields)
        assert f"<Note>{'n' * 500}</Note>" in body
        assert f"<FirstName>{'é' * 50}</FirstName>" in body
        assert "<StateCode></StateCode>" in body
        assert "unheard" not in body

    def test_S1b_a_note_of_500_characters_goes_out_whole(self, wire: responses.RequestsMock) -> None:
        note = "😀é" * 250
        body = put_body(wire, read(wire, contact()), lists=["1"], fields={"note": note})
        assert f"<Note>{note}</Note>" in body

    def test_S1b_an_address_that_is_too_long_is_not_sent(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(RequestRejected) as caught:
            backend().create(permit(Verb.CREATE, email="k" * 80 + "@example.com", lists=["1"]))
        assert caught.value.code == "bad_address"

    @pytest.mark.parametrize(
        ("source", "constant"), [(OptInSource.SITE, "ACTION_BY_CUSTOMER"), (OptInSource.CONTACT, "ACTION_BY_CONTACT")]
    )
    def test_S1c_the_source_is_the_permits(
        self, wire: responses.RequestsMock, source: OptInSource, constant: str
    ) -> None:
        body = put_body(wire, read(wire, contact(lists=())), lists=["3"], source=source)
        assert f"<OptInSource>{constant}</OptInSource>" in body
        assert body.count("OptInSource>") == 2


class TestSeed2:
    def test_S2a_a_feed_is_followed_by_its_next_links(self, wire: responses.RequestsMock) -> None:
        # All three spellings that were seen: from the host, from the collection, and the query alone.
        wire.get(f"{BASE}/contacts", body=feed(summary("9"), next="/ws/customers/acme/contacts?next=a-1"))
        wire.get(f"{BASE}/contacts?next=a-1", body=feed(summary("8"), next="contacts?next=b&amp;c=1"))
        wire.get(f"{BASE}/contacts?next=b&c=1", body=feed(summary("7"), next="?next=d"))
        wire.get(f"{BASE}/contacts?next=d", body=feed(summary("6", status="Do Not Mail"), summary("5", status="Odd")))
        found = list(backend().contacts())
        assert [one.remote_id for one in found] == ["9", "8", "7", "6", "5"]
        assert [one.status for one in found[3:]] == [ContactStatus.DO_NOT_MAIL, None]
        assert found[0].name == "Lee, Kim"

    def test_S2a_create_posts_the_required_atom_elements(self, wire: responses.RequestsMock) -> None:
        wire.post(f"{BASE}/contacts", status=201, body=contact("31", lists=["1", "12"]))
        fields = {"last_name": "Lee & <Söhne>", "first_name": "Kim 😀"}
        made = backend().create(permit(Verb.CREATE, lists=["12", "1"], fields=fields))

        assert (made.remote_id, set(made.lists), made.status) == ("31", {"1", "12"}, ContactStatus.ACTIVE)
        body = wire.calls[0].request.body
        assert isinstance(body, bytes)
        assert same_xml(
            body,
            f"""<entry xmlns="http://www.w3.org/2005/Atom"><title type="text"> </title>
            <updated>2010-01-01T00:00:00.000Z</updated><author/><id>data:,none</id>
            <summary type="text">Contact</summary>
            <content type="application/vnd.ctct+xml"><Contact xmlns="http://ws.constantcontact.com/ns/1.0/">
            <EmailAddress>kim@example.com</EmailAddress><FirstName>Kim 😀</FirstName>
            <LastName>Lee &amp; &lt;Söhne&gt;</LastName><OptInSource>ACTION_BY_CUSTOMER</OptInSource>
            <ContactLists><ContactList id="{ID}/lists/1"/><ContactList id="{ID}/lists/12"/></ContactLists>
            </Contact></content></entry>""".replace("\n            ", ""),
        )

    def test_S2b_get_reads_the_whole_contact(self, wire: responses.RequestsMock) -> None:
        out = "<OptOutTime>2011-01-02</OptOutTime><OptOutSource>ACTION_BY_CONTACT</OptOutSource>"
        found = read(wire, contact(status="<Status>Do Not Mail</Status>", lists=(), email="Kim@Example.com", extra=out))
        assert wire.calls[0].request.url == f"{BASE}/contacts/2"
        assert (found.remote_id, found.email, found.status) == ("2", "kim@example.com", ContactStatus.DO_NOT_MAIL)
        assert found.fields == {"email_type": "HTML", "first_name": "Kim", "last_name": "Lee"}
        assert found.opted_out_at == datetime(2011, 1, 2, tzinfo=UTC)
        assert found.opted_out_source is OptInSource.CONTACT
        assert found.updated_at == datetime(2010, 4, 21, 18, 35, 34, 279000, tzinfo=UTC)

    def test_S2b_get_knows_how_she_came_onto_each_list(self, wire: responses.RequestsMock) -> None:
        lists = f"<ContactLists>{membership('1', 'ACTION_BY_CONTACT')}{membership('2', 'ODD')}</ContactLists>"
        lists = lists.replace("</ContactLists>", f'<ContactList id="{ID}/lists/active"/></ContactLists>')
        found = read(wire, contact(contact_lists=lists))
        assert {key: one.source for key, one in found.lists.items()} == {"1": OptInSource.CONTACT, "2": None}
        assert found.lists["1"].since == datetime(2010, 4, 21, 18, 35, 34, 175000, tzinfo=UTC)

    def test_S2b_put_sends_back_every_element_that_get_gave(self, wire: responses.RequestsMock) -> None:
        document = contact(fields={name: "x" for name in FIELDS}, extra="<Later a='1'><b/></Later>")
        existing = read(wire, document)
        body = put_body(wire, existing, lists=["1"])
        added = "<OptInSource>ACTION_BY_CUSTOMER</OptInSource><ContactLists>"
        assert canonical(body) == canonical(document.replace("<ContactLists>", added))
        assert same_xml(put_body(wire, existing, lists=["1"]), body)  # the document that was read is still as it was

    def test_S2b_put_says_if_match_only_with_a_strong_tag(self, wire: responses.RequestsMock) -> None:
        for tag, sent in (('"v1"', '"v1"'), ('W/"v1"', None), ("", None)):
            put_body(wire, read(wire, contact(), ETag=tag), lists=["1"])
            assert wire.calls[-1].request.headers.get("If-Match") == sent
            wire.remove("GET", f"{BASE}/contacts/2")

    def test_S2c_find_encodes_the_address_and_lowers_it(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary("2", email="Kim+a&amp;b@Example.com")))
        wire.get(f"{BASE}/contacts/2", body=contact(email="kim+a&amp;b@example.com"))
        found = backend().find(" Kim+A&b@example.com ")
        assert found is not None
        assert found.remote_id == "2"
        assert wire.calls[0].request.url == f"{BASE}/contacts?email=kim%2Ba%26b%40example.com"
        assert [call.request.method for call in wire.calls] == ["GET", "GET"]

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (ContactStatus.ACTIVE, "active"),
            (ContactStatus.REMOVED, "removed"),
            (ContactStatus.DO_NOT_MAIL, "do-not-mail"),
        ],
    )
    def test_S2c_changes_are_asked_for_by_date_and_list_type(
        self, wire: responses.RequestsMock, status: ContactStatus, word: str
    ) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary()))
        moment = datetime(2026, 11, 22, 14, 3, 4, 567899, tzinfo=timezone(timedelta(hours=1)))
        assert len(list(backend().changed_since(moment, status=status))) == 1
        asked = f"{BASE}/contacts?updatedsince=2026-11-22T13%3A03%3A04.567Z&listtype={word}"
        assert wire.calls[0].request.url == asked

    def test_S2c_changes_are_asked_for_by_date_and_list(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed())
        assert not list(backend().changed_since(datetime(2026, 1, 1, tzinfo=UTC), list_id="7"))
        asked = f"{BASE}/contacts?updatedsince=2026-01-01T00%3A00%3A00.000Z&listid=7"
        assert wire.calls[0].request.url == asked

    def test_S2c_exactly_one_of_status_and_list_is_asked_for(self) -> None:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for wrong in ({}, {"status": ContactStatus.ACTIVE, "list_id": "1"}):
            with pytest.raises(ValueError, match="exactly one"):
                backend().changed_since(moment, **wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="aware"):
            backend().changed_since(moment.replace(tzinfo=None), list_id="1")
        with pytest.raises(RequestRejected, match="no list type"):
            backend().changed_since(moment, status=ContactStatus.UNCONFIRMED)

    def test_S2d_the_user_name_in_the_address_is_lower_case_and_quoted(self, wire: responses.RequestsMock) -> None:
        wire.get("https://api.constantcontact.com/ws/customers/owner%2Bx%40example.com/contacts/2", status=404)
        assert backend(username="Owner+X@Example.com").get("2") is None

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_S2d_the_id_comes_from_location_where_the_body_gives_none(
        self, wire: responses.RequestsMock, scheme: str
    ) -> None:
        location = f"{scheme}://api.constantcontact.com/ws/customers/acme/contacts/77"
        wire.post(f"{BASE}/contacts", status=201, headers={"Location": location})
        made = backend().create(permit(Verb.CREATE, lists=["1"], fields={"city": "Bonn"}))
        assert (made.remote_id, set(made.lists), made.fields) == ("77", {"1"}, {"city": "Bonn"})
        with pytest.raises(RemoteConflict) as caught:
            backend().update(made, permit(lists=["2"]))  # there is no document to send back
        assert caught.value.code == "not_read"

    @pytest.mark.parametrize("name", list(FIELDS))
    def test_S2e_every_field_of_the_table_can_be_set(self, wire: responses.RequestsMock, name: str) -> None:
        value = {"email_type": "Text", "state_code": "MA", "country_code": "us"}.get(name, "Neu")
        existing = read(wire, contact())
        body = put_body(wire, existing, lists=["1"], fields={name: value})
        assert f"<{ELEMENTS[name]}>{value}</{ELEMENTS[name]}>" in body
        wire.replace("GET", f"{BASE}/contacts/2", body=contact(fields={name: value}))
        again = backend().get("2")
        assert again is not None
        assert again.fields[name] == value

    def test_S2e_the_limits_are_those_of_the_table(self) -> None:
        limits = {name: limit.max_length for name, limit in FIELDS.items()}
        assert len(limits) == 34
        unusual = {name: limit for name, limit in limits.items() if limit != 50}
        assert unusual == {
            "email_type": 4,
            "state_code": 2,
            "country_code": 2,
            "postal_code": 25,
            "sub_postal_code": 25,
            "note": 500,
        }

    @pytest.mark.parametrize("status", list(ContactStatus))
    def test_S2e_the_four_statuses_are_read(self, wire: responses.RequestsMock, status: ContactStatus) -> None:
        assert read(wire, contact(status=f"<Status>{status.label}</Status>")).status is status

    def test_S2f_an_opt_in_source_that_was_read_misspelt_goes_back_right(self, wire: responses.RequestsMock) -> None:
        odd = "<OptInSource>action_by_customer</OptInSource><OptInSource>X</OptInSource>"
        body = put_body(wire, read(wire, contact(extra=odd)), lists=["1"])
        assert body.count(">ACTION_BY_CUSTOMER<") == 3  # both at contact level, and the one of the list
        assert "action_by" not in body


class TestSeed3:
    def test_S3a_an_upgrade_swaps_the_lists_in_one_put(self, wire: responses.RequestsMock) -> None:
        body = put_body(wire, read(wire, contact(lists=["1", "5"])), lists=["2", "5"])
        assert f"{ID}/lists/1" not in body
        assert [f"{ID}/lists/{one}" in body for one in ("2", "5")] == [True, True]

    def test_S3b_a_removed_contact_comes_back_by_put(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(status="<Status>Removed</Status>", contact_lists=""))
        assert not existing.lists
        body = put_body(wire, existing, lists=["1"])
        new = f'<ContactLists><ContactList id="{ID}/lists/1"/></ContactLists>'
        new = "<OptInSource>ACTION_BY_CUSTOMER</OptInSource>" + new
        # Inserted where the wire has it, before Confirmed; blanks around it do not matter here.
        assert canonical(body).replace("\n", "").replace(" ", "") == canonical(
            contact(status="<Status>Removed</Status>", contact_lists=new)
        ).replace("\n", "").replace(" ", "")

    def test_S3c_an_opt_out_is_a_delete_of_the_contact(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact())
        wire.delete(f"{BASE}/contacts/2", status=204)
        backend().opt_out(existing, permit(Verb.OPT_OUT))
        request = wire.calls[-1].request
        assert (request.method, request.url, request.body) == ("DELETE", f"{BASE}/contacts/2", None)

    @pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE])
    def test_S3c_only_a_permit_to_opt_out_deletes(self, wire: responses.RequestsMock, verb: Verb) -> None:
        existing = read(wire, contact())
        with pytest.raises(ValueError, match="not for opt_out"):
            backend().opt_out(existing, permit(verb, lists=["1"]))
        assert len(wire.calls) == 1

    def test_S3c_a_contact_who_opted_out_is_refused_by_the_server(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(status="<Status>Do Not Mail</Status>", lists=()))
        wire.put(f"{BASE}/contacts/2", status=403, body="Error 403: kim@example.com is on Do Not Mail over there")
        with pytest.raises(RequestRejected) as caught:
            backend().update(existing, permit(lists=["1"]))
        assert caught.value.code == "do_not_mail"


def test_the_address_goes_out_only_when_it_changes(wire: responses.RequestsMock) -> None:
    existing = read(wire, contact(email="Kim@Example.com"))
    assert "<EmailAddress>Kim@Example.com</EmailAddress>" in put_body(wire, existing, lists=["1"])
    body = put_body(wire, existing, lists=["1"], email="new@example.com")
    assert "<EmailAddress>new@example.com</EmailAddress>" in body


def test_a_field_that_has_its_value_already_goes_back_as_it_was_read(wire: responses.RequestsMock) -> None:
    document = contact().replace("<FirstName>Kim<", '<FirstName odd="x">K<!-- i -->im<')
    assert 'odd="x">K<!-- i -->im<' in put_body(wire, read(wire, document), lists=["1"], fields={"first_name": "Kim"})


def test_basic_credentials_are_the_key_with_the_user_name(wire: responses.RequestsMock) -> None:
    read(wire, contact())
    expected = base64.b64encode(b"k-1%acme:open sesame").decode()
    assert wire.calls[0].request.headers["Authorization"] == f"Basic {expected}"


def test_a_token_goes_into_the_header(wire: responses.RequestsMock) -> None:
    from django_ctct.backends.atom_v1 import AtomBackend

    wire.get(f"{BASE}/contacts/2", status=404)
    AtomBackend({"username": "acme", "access_token": "t0k.en"}).get("2")
    assert wire.calls[0].request.headers["Authorization"] == "Bearer t0k.en"
    assert wire.calls[0].request.headers["Accept-Encoding"] == "identity"


class TestLists:
    def test_system_lists_are_dropped(self, wire: responses.RequestsMock) -> None:
        systems = [listed(one, one.title(), "") for one in ("active", "do-not-mail", "removed")]
        wire.get(
            f"{BASE}/lists",
            body=feed(*systems, listed("1", "Free"), listed("2", "Odd", "<ContactCount>x</ContactCount>")),
        )
        assert [(one.remote_id, one.name, one.members) for one in backend().lists()] == [
            ("1", "Free", 42),
            ("2", "Odd", None),
        ]

    def test_a_list_is_created_with_its_name(self, wire: responses.RequestsMock) -> None:
        wire.post(
            f"{BASE}/lists",
            status=201,
            body=listed("15", "A & B".replace("&", "&amp;"), "", ' xmlns="http://www.w3.org/2005/Atom"'),
        )
        assert backend().create_list("A & B").remote_id == "15"
        body = wire.calls[0].request.body
        assert isinstance(body, bytes)
        assert b"<Name>A &amp; B</Name>" in body
        assert b'<ContactList xmlns="http://ws.constantcontact.com/ns/1.0/"><OptInDefault>false</OptInDefault>' in body

    def test_a_created_lists_id_may_come_from_location(self, wire: responses.RequestsMock) -> None:
        wire.post(f"{BASE}/lists", status=201, headers={"Location": "/ws/customers/acme/lists/16"})
        assert backend().create_list("Free").remote_id == "16"

    def test_a_rename_sends_the_list_back_with_another_name(self, wire: responses.RequestsMock) -> None:
        document = listed("1", "Free", ns=' xmlns="http://www.w3.org/2005/Atom"')
        wire.get(f"{BASE}/lists/1", body=document)
        wire.put(f"{BASE}/lists/1", status=204)
        backend().rename_list("1", "Gratis")
        body = wire.calls[1].request.body
        assert isinstance(body, bytes)
        assert same_xml(body, document.replace("<Name>Free<", "<Name>Gratis<"))

    def test_a_rename_sends_back_every_field_of_a_list_and_what_nobody_knows(
        self, wire: responses.RequestsMock
    ) -> None:
        unknown = '<Later a="1"><!-- b --></Later><x:Name xmlns:x="urn:x">Free</x:Name>'
        document = listed("1", "Free", f"{LIST_FIELDS}{unknown}", ns=' xmlns="http://www.w3.org/2005/Atom" odd="c"')
        wire.get(f"{BASE}/lists/1", body=document)
        wire.put(f"{BASE}/lists/1", status=204)
        name = "😀" * 255
        backend().rename_list("1", name)
        body = wire.calls[1].request.body
        assert isinstance(body, bytes)
        assert canonical(body, with_comments=True) == canonical(
            document.replace("<Name>Free<", f"<Name>{name}<"), with_comments=True
        )
        for local in ("OptInDefault", "ShortName", "DisplayOnSignup", "SortOrder", "Members", "ContactCount"):
            assert body.count(f"</{local}>".encode()) == 1

    def test_what_the_app_needs_of_a_list_is_read(self, wire: responses.RequestsMock) -> None:
        document = listed("1", "Free &amp; easy", LIST_FIELDS, ns=' xmlns="http://www.w3.org/2005/Atom"')
        wire.get(f"{BASE}/lists/1", body=document)
        assert backend().get_list("1") == RemoteList("1", "Free & easy", 42)

    def test_renaming_a_list_that_is_gone_is_a_conflict(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/lists/1", status=404)
        with pytest.raises(RemoteConflict):
            backend().rename_list("1", "Gratis")

    @pytest.mark.parametrize("name", ["", "  ", "n" * 256])
    def test_a_name_that_no_list_can_have_is_not_sent(self, name: str) -> None:
        with pytest.raises(RequestRejected):
            backend().create_list(name)

    @pytest.mark.parametrize("status", [204, 404])
    def test_deleting_a_list_twice_is_no_error(self, wire: responses.RequestsMock, status: int) -> None:
        wire.delete(f"{BASE}/lists/1", status=status)
        backend().delete_list("1")
        assert len(wire.calls) == 1

    def test_members_are_contacts_without_status(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/lists/1/members", body=feed(member("5", "Ada@example.com")))
        (found,) = backend().members("1")
        assert (found.remote_id, found.email, found.status) == ("5", "ada@example.com", None)

    def test_a_list_that_is_not_there_is_none(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/lists/1", status=404)
        assert backend().get_list("1") is None
