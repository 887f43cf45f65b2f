"""What the v1 wire makes of answers that are wrong: each breach has its code, and none of them writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import responses

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.exceptions import (
    AmbiguousWrite,
    ConfigurationError,
    MalformedResponse,
    RemoteConflict,
    RemoteError,
    RemoteUnavailable,
    RequestRejected,
)
from django_ctct.types import RemoteContact, Verb

from .builders import BASE, ID, OPTIONS, backend, contact, feed, listed, member, membership, permit, summary


@pytest.fixture(autouse=True)
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def existing(wire: responses.RequestsMock) -> RemoteContact:
    wire.get(f"{BASE}/contacts/2", body=contact())
    found = backend().get("2")
    assert found is not None
    return found


class TestOptions:
    @pytest.mark.parametrize(
        "username", ["", "a/b", "..", ".", "a?x", "a\nb", "acme\n", "a#b", "%2e%2e", "a b", "ä", "x" * 81, None, 7]
    )
    def test_a_user_name_that_could_leave_its_place_is_refused(self, username: object) -> None:
        with pytest.raises(ConfigurationError, match="username"):
            AtomBackend({**OPTIONS, "username": username})

    def test_an_unknown_option_names_the_nearest_one(self) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'password'"):
            backend(passwort="x")
        with pytest.raises(ConfigurationError, match="it takes access_token, api_key"):
            backend(zzz="x")

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"api_key": "k"},
            {"password": "p"},
            {"access_token": "t", "api_key": "k", "password": "p"},
            {"access_token": "t", "api_key": "k"},
        ],
    )
    def test_there_is_exactly_one_way_to_sign_in(self, options: dict[str, str]) -> None:
        with pytest.raises(ConfigurationError, match="either access_token, or api_key and password"):
            AtomBackend({"username": "acme", **options})

    @pytest.mark.parametrize(
        "options", [{"access_token": "a\nb"}, {"api_key": "a:b", "password": "p"}, {"access_token": b"t"}]
    )
    def test_credentials_that_cannot_go_into_a_header_are_refused_unshown(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError) as caught:
            AtomBackend({"username": "acme", **options})
        assert "a:b" not in str(caught.value)

    def test_the_base_has_no_path(self) -> None:
        with pytest.raises(ConfigurationError, match="path"):
            backend(base_url="https://proxy.example.com/v1")


EVE = "<id>http://api.constantcontact.com/ws/customers/eve/"


def in_lists(elements: str) -> str:
    return f"<ContactLists>{elements}</ContactLists>"


READS: list[tuple[str, str, type[RemoteError], str]] = [
    ("truncated XML", contact()[:700], RemoteUnavailable, "unreadable"),
    ("no XML", "<html><p>Sorry<br></html>", RemoteUnavailable, "unreadable"),
    ("nothing", "", RemoteUnavailable, "unreadable"),
    ("an unknown encoding", "<?xml version='1.0' encoding='klingon'?><entry/>", RemoteUnavailable, "unreadable"),
    ("a multi-byte encoding", "<?xml version='1.0' encoding='utf-7'?><entry/>", RemoteUnavailable, "unreadable"),
    ("a DTD", contact(head="<!DOCTYPE entry>"), MalformedResponse, "dtd"),
    ("an entity", contact(head='<!DOCTYPE entry [<!ENTITY a "b">]>'), MalformedResponse, "dtd"),
    ("another document", "<html/>", MalformedResponse, "no_entry"),
    ("no Atom namespace", contact(atom_ns=""), MalformedResponse, "wrong_namespace"),
    ("no contact namespace", contact(contact_ns=""), MalformedResponse, "wrong_namespace"),
    ("another namespace", contact(contact_ns=' xmlns="http://ws.example.com/"'), MalformedResponse, "wrong_namespace"),
    ("no status", contact(status=""), MalformedResponse, "no_status"),
    ("two statuses", contact(status=2 * "<Status>Active</Status>"), MalformedResponse, "two_status"),
    ("an unknown status", contact(status="<Status>Asleep</Status>"), MalformedResponse, "unknown_status"),
    ("a status in lower case", contact(status="<Status>active</Status>"), MalformedResponse, "unknown_status"),
    ("no lists on an Active contact", contact(contact_lists=""), MalformedResponse, "no_contact_lists"),
    (
        "no lists on an Unconfirmed one",
        contact(status="<Status>Unconfirmed</Status>", contact_lists=""),
        MalformedResponse,
        "no_contact_lists",
    ),
    ("two list elements", contact(contact_lists=2 * "<ContactLists/>"), MalformedResponse, "two_contact_lists"),
    (
        "lists of another namespace",
        contact(status="<Status>Removed</Status>", contact_lists='<ContactLists xmlns="urn:x"/>'),
        MalformedResponse,
        "wrong_namespace",
    ),
    ("no address element", contact(address=""), MalformedResponse, "no_email_address"),
    ("no address in it", contact(address="<EmailAddress/>"), MalformedResponse, "no_email_address"),
    (
        "two addresses",
        contact(address="<EmailAddress>a@example.com</EmailAddress><EmailAddress>b@example.com</EmailAddress>"),
        MalformedResponse,
        "two_email_address",
    ),
    ("a field twice", contact(extra="<FirstName>Ada</FirstName>"), MalformedResponse, "two_first_name"),
    ("another contact", contact("3"), MalformedResponse, "other_contact"),
    ("an id within that differs", contact().replace('/contacts/2">', '/contacts/3">'), MalformedResponse, "two_ids"),
    (
        "another account's id",
        contact().replace("<id>http://api.constantcontact.com/ws/customers/acme/", EVE),
        MalformedResponse,
        "foreign_id",
    ),
    (
        "a foreign list",
        contact(contact_lists=in_lists(f'<ContactList id="{EVE[4:]}lists/1"/>')),
        MalformedResponse,
        "foreign_id",
    ),
    ("a list without a number", contact(contact_lists=in_lists(membership("one"))), MalformedResponse, "foreign_id"),
    ("a list without an id", contact(contact_lists=in_lists("<ContactList/>")), MalformedResponse, "foreign_id"),
    (
        "no address in an id",
        contact(contact_lists=in_lists('<ContactList id="http://[/"/>')),
        MalformedResponse,
        "foreign_id",
    ),
]


@pytest.mark.parametrize(("body", "kind", "code"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_a_contact_that_breaks_the_protocol_is_not_read(
    wire: responses.RequestsMock, body: str, kind: type[RemoteError], code: str
) -> None:
    wire.get(f"{BASE}/contacts/2", body=body)
    with pytest.raises(RemoteError) as caught:
        backend().get("2")
    assert (type(caught.value), caught.value.code) == (kind, code)


@pytest.mark.parametrize(
    "wanted",
    [
        contact().replace("http://api.", "https://api."),
        contact().replace('id="http://api.constantcontact.com', 'id="http://api.constantcontact.\n    com'),
        contact(atom_ns=' xmlns="http://www.w3.org/2005/Atom" xmlns:z="urn:z" z:a="b"'),
        contact(lists=()),
        contact().replace("2010-04-21T18:35:34.279Z</LastUpdateTime>", "soon</LastUpdateTime>"),
    ],
    ids=["https ids", "an id over two lines", "more namespaces", "Active on no list", "no time"],
)
def test_a_contact_that_is_odd_in_a_known_way_is_read(wire: responses.RequestsMock, wanted: str) -> None:
    wire.get(f"{BASE}/contacts/2", body=wanted)
    found = backend().get("2")
    assert found is not None
    assert found.remote_id == "2"


@pytest.mark.parametrize("remote_id", ["", "../lists/1", "2/events", "two", "٢", "1" * 20])
def test_an_id_that_is_no_number_is_not_asked_for(wire: responses.RequestsMock, remote_id: str) -> None:
    for ask in (backend().get, backend().get_list, backend().delete_list, backend().members):
        with pytest.raises(RequestRejected):
            ask(remote_id)
    with pytest.raises(RequestRejected):
        backend().changed_since(datetime(2026, 1, 1, tzinfo=UTC), list_id=remote_id)
    with pytest.raises(RequestRejected):
        backend().create(permit(Verb.CREATE, lists=[remote_id]))
    assert not wire.calls


class TestSearch:
    def test_no_entry_is_nobody(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed())
        assert backend().find("kim@example.com") is None

    def test_two_entries_of_other_people_are_nobody(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary("3", "kimo@example.com"), summary("4", "ki@example.com")))
        assert backend().find("kim@example.com") is None

    def test_the_right_one_of_two_entries_is_read(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary("3", "kimo@example.com"), summary("2", "Kim@Example.com")))
        wire.get(f"{BASE}/contacts/2", body=contact())
        assert backend().find("kim@example.com") is not None

    def test_two_contacts_with_one_address_are_refused(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary("3"), summary("4")))
        with pytest.raises(MalformedResponse) as caught:
            backend().find("kim@example.com")
        assert caught.value.code == "duplicate"

    def test_500_twice_is_nobody(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", status=500, body="Server Error")
        assert backend().find("kim@example.com") is None
        assert len(wire.calls) == 2

    def test_500_once_is_asked_again(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", status=500)
        wire.get(f"{BASE}/contacts", body=feed(summary()))
        wire.get(f"{BASE}/contacts/2", body=contact())
        assert backend().find("kim@example.com") is not None

    def test_500_elsewhere_is_a_fault(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts/2", status=500)
        with pytest.raises(RemoteUnavailable) as caught:
            backend().get("2")
        assert caught.value.code == "http_500"

    def test_a_contact_that_changed_its_address_meanwhile_is_a_conflict(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary()))
        wire.get(f"{BASE}/contacts/2", body=contact(email="lee@example.com"))
        with pytest.raises(RemoteConflict) as caught:
            backend().find("kim@example.com")
        assert caught.value.code == "other_address"

    def test_a_contact_that_went_meanwhile_is_nobody(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary()))
        wire.get(f"{BASE}/contacts/2", status=404)
        assert backend().find("kim@example.com") is None


class TestCreate:
    def post(self, wire: responses.RequestsMock, **answer: Any) -> RemoteContact:
        wire.post(f"{BASE}/contacts", **{"status": 201, **answer})
        return backend().create(permit(Verb.CREATE, lists=["1"]))

    def test_409_is_a_conflict(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(RemoteConflict):
            self.post(wire, status=409, body="Error 409: exists")

    def test_another_400_is_a_plain_refusal(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(RequestRejected) as caught:
            self.post(wire, status=400, body="Error 400: no")
        assert caught.value.code == "http_400"

    @pytest.mark.parametrize("body", ["", "garbage", contact()[:200], "<entry/>"])
    def test_201_with_neither_body_nor_location_is_ambiguous(self, wire: responses.RequestsMock, body: str) -> None:
        with pytest.raises(AmbiguousWrite) as caught:
            self.post(wire, body=body)
        assert caught.value.code == "no_location"

    @pytest.mark.parametrize(
        "location",
        [
            "https://evil.example.com/ws/customers/acme/contacts/5",
            f"{ID}/lists/5",
            f"{ID}/contacts/five",
            f"{ID}/contacts/5/events",
            "http://api.constantcontact.com/ws/customers/eve/contacts/5",
            "/ws/customers/acme/contacts/%2e%2e",
            "/ws/customers/acme/contacts/..%2f5",
        ],
    )
    def test_a_foreign_location_is_not_believed(self, wire: responses.RequestsMock, location: str) -> None:
        with pytest.raises(AmbiguousWrite):
            self.post(wire, headers={"Location": location})

    def test_201_about_another_address_is_ambiguous(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(AmbiguousWrite):
            self.post(wire, body=contact(email="lee@example.com"))

    def test_201_with_a_compressed_body_is_made(self, wire: responses.RequestsMock) -> None:
        made = self.post(wire, body=b"\x1f\x8b", headers={"Content-Encoding": "gzip", "Location": f"{ID}/contacts/9"})
        assert made.remote_id == "9"


class TestWrites:
    @pytest.mark.parametrize(
        ("status", "kind", "code"),
        [
            (404, RemoteConflict, "gone"),
            (409, RemoteConflict, "http_409"),
            (412, RemoteConflict, "http_412"),
            (400, RequestRejected, "http_400"),
            (500, AmbiguousWrite, "http_500"),
            (302, MalformedResponse, "redirect"),
        ],
    )
    def test_a_put_that_fails_says_what_to_do(
        self, wire: responses.RequestsMock, status: int, kind: type[RemoteError], code: str
    ) -> None:
        found = existing(wire)
        wire.put(f"{BASE}/contacts/2", status=status, headers={"Location": f"{BASE}/contacts/2"})
        with pytest.raises(RemoteError) as caught:
            backend().update(found, permit(lists=["1"]))
        assert (type(caught.value), caught.value.code) == (kind, code)
        assert len(wire.calls) == 2

    @pytest.mark.parametrize("body", ["<html>Welcome to the hotel</html>", "OK", contact("3")])
    def test_a_put_answered_by_somebody_else_is_ambiguous(self, wire: responses.RequestsMock, body: str) -> None:
        found = existing(wire)
        wire.put(f"{BASE}/contacts/2", status=200, body=body)
        with pytest.raises(AmbiguousWrite) as caught:
            backend().update(found, permit(lists=["1"]))
        assert caught.value.code == "surprising_body"

    def test_a_put_with_a_body_that_cannot_be_read_is_ambiguous(self, wire: responses.RequestsMock) -> None:
        found = existing(wire)
        wire.put(f"{BASE}/contacts/2", status=200, body="x", headers={"Content-Encoding": "br"})
        with pytest.raises(AmbiguousWrite) as caught:
            backend().update(found, permit(lists=["1"]))
        assert caught.value.code == "encoded"

    @pytest.mark.parametrize(("status", "body"), [(204, ""), (200, ""), (200, contact()), (202, " \n")])
    def test_a_put_succeeds_without_a_body_or_with_the_entry(
        self, wire: responses.RequestsMock, status: int, body: str
    ) -> None:
        found = existing(wire)
        wire.put(f"{BASE}/contacts/2", status=status, body=body)
        backend().update(found, permit(lists=["1"]))

    def test_opting_out_somebody_who_is_gone_is_a_conflict(self, wire: responses.RequestsMock) -> None:
        found = existing(wire)
        wire.delete(f"{BASE}/contacts/2", status=404)
        with pytest.raises(RemoteConflict):
            backend().opt_out(found, permit(Verb.OPT_OUT))

    @pytest.mark.parametrize("verb", [Verb.CREATE, Verb.OPT_OUT])
    def test_a_permit_serves_its_own_verb_only(self, wire: responses.RequestsMock, verb: Verb) -> None:
        found = existing(wire)
        with pytest.raises(ValueError, match="not for update"):
            backend().update(found, permit(verb, lists=["1"]))
        assert len(wire.calls) == 1


#: Where a link to edit a contact could lead: to another host, account, contact, place, or in the clear.
ELSEWHERE = [
    "https://evil.example.com/ws/customers/acme/contacts/2",
    "//evil.example.com/ws/customers/acme/contacts/2",
    "https://api.constantcontact.com@evil.example.com/ws/customers/acme/contacts/2",
    "https://api.constantcontact.com:444/ws/customers/acme/contacts/2",
    "http://api.constantcontact.com/ws/customers/acme/contacts/2",
    "/ws/customers/eve/contacts/2",
    "/ws/customers/acme/contacts/3",
    "/ws/customers/acme/lists/2",
    "/ws/customers/acme/contacts/../../eve/contacts/2",
    "/ws/customers/acme/contacts/%2e%2e/lists/2",
    "../3",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("href", ELSEWHERE)
class TestEditLinks:
    """A link is never followed nor used: what to write to comes from the id (v1 docs, Contacts Collection)."""

    def leading(self, document: str, href: str) -> str:
        own = 'href="/ws/customers/acme/contacts/2" rel="edit"'
        assert own in document
        return document.replace(own, f'href="{href}" rel="edit"')

    def asked(self, wire: responses.RequestsMock) -> list[tuple[str | None, str | None]]:
        return [(call.request.method, call.request.url) for call in wire.calls]

    def read(self, wire: responses.RequestsMock, href: str) -> RemoteContact:
        wire.get(f"{BASE}/contacts/2", body=self.leading(contact(), href))
        found = backend().get("2")
        assert found is not None
        return found

    def test_a_read_asks_for_the_id_alone(self, wire: responses.RequestsMock, href: str) -> None:
        assert self.read(wire, href).remote_id == "2"
        assert self.asked(wire) == [("GET", f"{BASE}/contacts/2")]

    def test_a_search_reads_whom_it_found_by_the_id(self, wire: responses.RequestsMock, href: str) -> None:
        wire.get(f"{BASE}/contacts", body=feed(self.leading(summary(), href)))
        wire.get(f"{BASE}/contacts/2", body=contact())
        assert backend().find("kim@example.com") is not None
        found = f"{BASE}/contacts?email=kim%40example.com"
        assert self.asked(wire) == [("GET", found), ("GET", f"{BASE}/contacts/2")]

    def test_an_update_goes_to_the_id_and_sends_the_link_back_as_it_came(
        self, wire: responses.RequestsMock, href: str
    ) -> None:
        found = self.read(wire, href)
        wire.put(f"{BASE}/contacts/2", status=204)
        backend().update(found, permit(lists=["1"]))
        assert self.asked(wire)[1:] == [("PUT", f"{BASE}/contacts/2")]
        assert f'href="{href}" rel="edit"' in str(wire.calls[1].request.body)

    def test_an_opt_out_goes_to_the_id(self, wire: responses.RequestsMock, href: str) -> None:
        found = self.read(wire, href)
        wire.delete(f"{BASE}/contacts/2", status=204)
        backend().opt_out(found, permit(Verb.OPT_OUT))
        assert self.asked(wire)[1:] == [("DELETE", f"{BASE}/contacts/2")]


class TestFeeds:
    @pytest.mark.parametrize(
        "href",
        [
            "https://evil.example.com/ws/customers/acme/contacts?next=1",
            "http://api.constantcontact.com/ws/customers/acme/contacts?next=1",
            "https://api.constantcontact.com:444/ws/customers/acme/contacts?next=1",
            "https://api.constantcontact.com@evil.example.com/ws/customers/acme/contacts",
            "https://x:y@api.constantcontact.com/ws/customers/acme/contacts",
            "//evil.example.com/ws/customers/acme/contacts",
            "/ws/customers/eve/contacts?next=1",
            "/ws/customers/acme/../eve/contacts",
            "/ws/customers/acme/%2e%2e/eve/contacts",
            "/ws/customers/acme/a%2f..%2f..%2feve",
            "/ws/customers/acme",
            "/elsewhere",
            "https://api.constantcontact.com:x/ws/customers/acme/contacts",
            "javascript:alert(1)",
        ],
    )
    def test_a_next_link_out_of_the_account_is_not_followed(self, wire: responses.RequestsMock, href: str) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary(), next=href))
        found = backend().contacts()
        with pytest.raises(MalformedResponse) as caught:
            list(found)
        assert caught.value.code == "foreign_link"
        assert len(wire.calls) == 1

    def test_a_feed_that_runs_in_a_circle_is_left(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary(), next="?next=a"))
        with pytest.raises(MalformedResponse) as caught:
            list(backend().contacts())
        assert caught.value.code == "feed_loop"
        assert len(wire.calls) == 2

    def test_a_feed_without_an_end_is_left(self, wire: responses.RequestsMock) -> None:
        def page(request: Any) -> tuple[int, dict[str, str], str]:
            return 200, {}, feed(next=f"?next={len(wire.calls)}")

        wire.add_callback("GET", f"{BASE}/contacts", callback=page)
        endless = backend()
        endless.max_pages = 5
        with pytest.raises(MalformedResponse) as caught:
            list(endless.contacts())
        assert caught.value.code == "feed_loop"
        assert len(wire.calls) == 6

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (contact(), "no_feed"),
            (feed(summary().replace("<EmailAddress>kim@example.com</EmailAddress>", "")), "no_email_address"),
            (feed(member("5", "")), "no_email_address"),
            (feed(summary().replace("customers/acme/contacts/2<", "customers/eve/contacts/2<")), "foreign_id"),
            (feed("<entry/>"), "no_content"),
            (feed("<entry><content/><content/></entry>"), "two_content"),
        ],
    )
    def test_a_feed_that_breaks_the_protocol_is_left(self, wire: responses.RequestsMock, body: str, code: str) -> None:
        wire.get(f"{BASE}/contacts", body=body)
        with pytest.raises(MalformedResponse) as caught:
            list(backend().contacts())
        assert caught.value.code == code

    def test_a_search_that_is_answered_with_an_entry_is_not_believed(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=contact())
        with pytest.raises(MalformedResponse):
            backend().find("kim@example.com")


class TestLists:
    def test_a_list_that_is_another_one_is_not_believed(self, wire: responses.RequestsMock) -> None:
        for other in ("2", "active"):
            wire.get(f"{BASE}/lists/1", body=listed(other, "Free", ns=' xmlns="http://www.w3.org/2005/Atom"'))
            with pytest.raises(MalformedResponse) as caught:
                backend().get_list("1")
            assert caught.value.code == "other_list"

    def test_a_created_list_without_an_id_is_ambiguous(self, wire: responses.RequestsMock) -> None:
        for body in ("", listed("active", "Free", ns=' xmlns="http://www.w3.org/2005/Atom"')):
            wire.post(f"{BASE}/lists", status=201, body=body)
            with pytest.raises(AmbiguousWrite):
                backend().create_list("Free")
