"""What the v3 wire makes of answers that are wrong: each breach has its code, and none of them writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import responses

from django_ctct.backends.base import Tokens
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.exceptions import (
    AmbiguousWrite,
    AuthenticationFailed,
    ConfigurationError,
    MalformedResponse,
    QuotaExhausted,
    RateLimited,
    RemoteConflict,
    RemoteError,
    RemoteUnavailable,
    RequestRejected,
)
from django_ctct.types import ContactStatus, RemoteContact, Verb

from .builders import permit
from .json_builders import (
    ACTIVITY,
    FREE,
    KIM,
    KIM_URL,
    NEWS,
    PAID,
    V3,
    activity,
    asked,
    backend,
    contact,
    listed,
    page,
    read,
    refusal,
    scripted,
    sent,
    uid,
)


@pytest.fixture(autouse=True)
def wire() -> Iterator[responses.RequestsMock]:
    with scripted() as mock:
        yield mock


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"client_id": "abc"},
            {
                "client_id": "abc",
                "client_secret": "s e:cret",
                "access_token": None,
                "scope": "contact_data offline_access",
            },
            {"access_token": "t"},
            {
                "client_id": "abc",
                "base_url": "http://127.0.0.1:8900/",
                "authorize_url": "http://127.0.0.1:8900/oauth2/authorize",
                "token_url": "https://authz.example.com/token",
                "device_url": "https://authz.example.com/device",
                "redirect_uri": "http://localhost:8000/ctct/",
            },
        ],
    )
    def test_these_will_do(self, options: dict[str, Any]) -> None:
        JSONBackend(options).close()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, "v3 needs client_id"),
            ({"client_id": ""}, "v3 needs client_id"),
            ({"client_id": "a:b"}, "client_id holds a character"),
            ({"client_id": 7}, "client_id holds a character"),
            ({"client_id": "a", "client_secret": "x\n"}, "client_secret holds a character"),
            ({"access_token": "a b"}, "access_token holds a character"),
            ({"client_id": "a", "scope": "é"}, "scope holds a character"),
            ({"client_id": "a", "base_url": "https://api.cc.email/v3"}, "must not have a path"),
            ({"client_id": "a", "base_url": "http://api.cc.email"}, "base_url must begin with https"),
            ({"client_id": "a", "token_url": "http://example.com/token"}, "token_url must begin with https"),
            ({"client_id": "a", "authorize_url": 7}, "authorize_url is not an address"),
            ({"client_id": "a", "device_url": ""}, "device_url is not an address"),
            ({"client_id": "a", "redirect_uri": "https://u:p@example.com"}, "redirect_uri must hold no user name"),
            ({"client_idd": "a"}, "did you mean 'client_id'"),
        ],
    )
    def test_these_will_not(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            JSONBackend(options)


class Store:
    """A token store that counts what it is asked for."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.refused: list[str] = []

    def current(self) -> str:
        return self.tokens[0]

    def instead_of(self, refused: str) -> str:
        self.refused.append(refused)
        self.tokens.pop(0)
        return self.tokens[0]


class TestTokens:
    def connected(self, tokens: Tokens | None, **options: str) -> JSONBackend:
        return JSONBackend({"client_id": "abc", **options}, tokens=tokens)

    def bearers(self, wire: responses.RequestsMock) -> list[str]:
        return [call.request.headers["Authorization"] for call in wire.calls]

    def test_each_request_asks_for_the_token_of_the_moment(self, wire: responses.RequestsMock) -> None:
        wire.get(KIM_URL, status=404)
        store = Store("one", "two")
        connected = self.connected(store)
        connected.get(KIM)
        store.tokens = ["three"]
        connected.get(KIM)
        assert self.bearers(wire) == ["Bearer one", "Bearer three"]

    def test_a_refused_token_is_replaced_once_for_a_write_too(self, wire: responses.RequestsMock) -> None:
        existing = read(wire)
        wire.put(KIM_URL, status=401, json={"error_key": "unauthorized", "error_message": "Unauthorized"})
        wire.put(KIM_URL, json=contact())
        store = Store("old", "new")
        self.connected(store).update(existing, permit(lists=[FREE]))
        assert store.refused == ["old"]
        assert self.bearers(wire)[1:] == ["Bearer old", "Bearer new"]
        assert sent(wire, 1) == sent(wire, 2)

    def test_two_refused_tokens_are_a_matter_for_people(self, wire: responses.RequestsMock) -> None:
        wire.get(KIM_URL, status=401)
        store = Store("old", "new", "never")
        with pytest.raises(AuthenticationFailed) as caught:
            self.connected(store).get(KIM)
        assert (caught.value.code, store.refused, len(wire.calls)) == ("unauthorized", ["old"], 2)

    def test_a_refused_fixed_token_is_not_tried_again(self, wire: responses.RequestsMock) -> None:
        wire.get(KIM_URL, status=401)
        store = Store("other")
        with pytest.raises(AuthenticationFailed):
            self.connected(store, access_token="fixed").get(KIM)
        assert (self.bearers(wire), store.refused) == (["Bearer fixed"], [])

    def test_before_anybody_has_consented_nothing_is_asked(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(AuthenticationFailed) as caught:
            self.connected(None).find("kim@example.com")
        assert caught.value.code == "not_connected"
        assert not wire.calls

    def test_what_the_store_raises_comes_through(self, wire: responses.RequestsMock) -> None:
        class Down(Store):
            def instead_of(self, refused: str) -> str:
                raise RemoteUnavailable("the token server is down", code="http_503")

        existing = read(wire)
        wire.put(KIM_URL, status=401)
        with pytest.raises(RemoteUnavailable):
            self.connected(Down("old")).update(existing, permit(lists=[FREE]))


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in contact().items() if key != name}


READS: list[tuple[str, Any, type[RemoteError], str]] = [
    ("nothing", "", RemoteUnavailable, "unreadable"),
    ("a page of somebody's", "<html>Maintenance</html>", RemoteUnavailable, "unreadable"),
    ("half of it", json.dumps(contact())[:200], RemoteUnavailable, "unreadable"),
    ("not a number", '{"contact_id": NaN}', RemoteUnavailable, "unreadable"),
    ("half a character", '{"first_name": "\\ud800"}', RemoteUnavailable, "unreadable"),
    ("a number without end", '{"a": ' + "9" * 5000 + "}", RemoteUnavailable, "unreadable"),
    ("all depth", "[" * 100_000, MalformedResponse, "too_deep"),
    ("depth that closes", '{"a":' * 33 + "1" + "}" * 33, MalformedResponse, "too_deep"),
    ("all width", "[" + "0," * 300_000 + "0]", MalformedResponse, "too_large"),
    ("a list", [contact()], MalformedResponse, "unknown_shape"),
    ("null", "null", MalformedResponse, "unknown_shape"),
    ("no id", without("contact_id"), MalformedResponse, "unknown_shape"),
    ("an id that is none", contact("../lists"), MalformedResponse, "unknown_shape"),
    ("an id and a line", contact(KIM + "\n"), MalformedResponse, "unknown_shape"),
    ("another contact", contact(uid(3)), MalformedResponse, "other_contact"),
    (
        "an address that is an object",
        contact() | {"email_address": {"address": {}}},
        MalformedResponse,
        "unknown_shape",
    ),
    ("an address that is text", contact() | {"email_address": "kim@example.com"}, MalformedResponse, "unknown_shape"),
    ("no address in it", contact(address="kim"), MalformedResponse, "no_email_address"),
    ("no permission", contact(permission=None), MalformedResponse, "unknown_permission"),
    ("a new permission", contact(permission="sometimes"), MalformedResponse, "unknown_permission"),
    ("no lists", contact(lists=None), MalformedResponse, "no_list_memberships"),
    ("null for lists", contact() | {"list_memberships": None}, MalformedResponse, "no_list_memberships"),
    ("a list that is a name", contact(lists=["Free"]), MalformedResponse, "unknown_shape"),
    ("a name that is a number", contact(first_name=7), MalformedResponse, "unknown_shape"),
    ("phones that are text", contact(phone_numbers="123"), MalformedResponse, "unknown_shape"),
]


@pytest.mark.parametrize(("body", "kind", "code"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_a_contact_that_breaks_the_protocol_is_not_read(
    wire: responses.RequestsMock, body: Any, kind: type[RemoteError], code: str
) -> None:
    wire.get(KIM_URL, body=body if isinstance(body, str) else json.dumps(body))
    with pytest.raises(RemoteError) as caught:
        backend().get(KIM)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "wanted",
    [
        contact(KIM.upper()),
        contact(lists=[]),
        contact(updated_at="soon"),
        contact(permission="unsubscribed", lists=None),
        contact(deleted_at="2016-07-08", lists=None),
        contact(custom_fields=None, phone_numbers=None, street_addresses=None),
        contact(custom_fields=[{"custom_field_id": "odd"}, {"custom_field_id": "odd", "value": 7}]),
        contact(notes="odd", taggings={"odd": 1}, later={"a": [1, None]}),
    ],
    ids=["an id in capitals", "on no list", "no time", "opted out", "deleted", "nulls", "values", "new parts"],
)
def test_a_contact_that_is_odd_in_a_known_way_is_read(wire: responses.RequestsMock, wanted: dict[str, Any]) -> None:
    found = read(wire, wanted)
    assert (found.remote_id, found.email) == (KIM, "kim@example.com")


def test_of_a_member_that_comes_twice_the_last_counts(wire: responses.RequestsMock) -> None:
    twice = json.dumps(contact()).replace('"first_name": "Kim"', '"first_name": "Ada", "first_name": "Kim"')
    wire.get(KIM_URL, body=twice)
    found = backend().get(KIM)
    assert found is not None
    assert found.fields["first_name"] == "Kim"


@pytest.mark.parametrize(
    ("permission", "more", "status"),
    [
        ("explicit", {}, ContactStatus.ACTIVE),
        ("implicit", {}, ContactStatus.ACTIVE),
        ("not_set", {}, ContactStatus.ACTIVE),
        ("temp_hold", {}, ContactStatus.ACTIVE),
        ("pending_confirmation", {}, ContactStatus.UNCONFIRMED),
        ("pending_confirmation", {"lists": []}, ContactStatus.REMOVED),
        ("implicit", {"lists": []}, ContactStatus.REMOVED),
        ("implicit", {"deleted_at": "2016-07-08"}, ContactStatus.REMOVED),
        ("unsubscribed", {}, ContactStatus.DO_NOT_MAIL),
        ("unsubscribed", {"lists": [], "deleted_at": "2016-07-08"}, ContactStatus.DO_NOT_MAIL),
    ],
)
def test_the_four_statuses(
    wire: responses.RequestsMock, permission: str, more: dict[str, Any], status: ContactStatus
) -> None:
    found = read(wire, contact(permission=permission, **more))
    assert found.status is status
    assert bool(found.lists) is (status in (ContactStatus.ACTIVE, ContactStatus.UNCONFIRMED))


@pytest.mark.parametrize("word", ["System", "Landing Page", None])
def test_an_opt_out_of_unknown_source_and_time_is_one(wire: responses.RequestsMock, word: str | None) -> None:
    found = read(wire, contact(permission="unsubscribed", opt={"opt_out_source": word, "opt_out_date": None}))
    assert (found.status, found.opted_out_at, found.opted_out_source) == (ContactStatus.DO_NOT_MAIL, None, None)


class TestSearch:
    def find(self, wire: responses.RequestsMock, *rows: dict[str, Any]) -> RemoteContact | None:
        wire.get(f"{V3}/contacts", json=page(*rows))
        return backend().find("kim@example.com")

    def test_no_row_is_nobody(self, wire: responses.RequestsMock) -> None:
        assert self.find(wire) is None

    def test_rows_of_others_and_of_telephones_are_passed_over(self, wire: responses.RequestsMock) -> None:
        others = [contact(uid(3), "kimo@example.com"), {"contact_id": uid(4)}]
        assert self.find(wire, *others) is None
        wire.reset()
        found = self.find(wire, *others, contact(address="KIM@example.com"))
        assert found is not None
        assert found.remote_id == KIM

    def test_two_contacts_with_one_address_are_refused(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(MalformedResponse) as caught:
            self.find(wire, contact(), contact(uid(3)))
        assert caught.value.code == "duplicate"

    def test_one_contact_twice_is_one(self, wire: responses.RequestsMock) -> None:
        assert self.find(wire, contact(), contact()) is not None

    @pytest.mark.parametrize("body", [contact(), {"contacts": None}, {"contacts": [7]}, [], {"lists": []}])
    def test_an_answer_that_is_no_search_is_not_believed(self, wire: responses.RequestsMock, body: Any) -> None:
        wire.get(f"{V3}/contacts", json=body)
        with pytest.raises(MalformedResponse):
            backend().find("kim@example.com")

    def test_a_search_that_is_still_at_work_is_for_later(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contacts", status=202, json={"status": "processing"})
        with pytest.raises(RemoteUnavailable) as caught:
            backend().find("kim@example.com")
        assert caught.value.code == "http_202"


@pytest.mark.parametrize("status", [400, 404])
def test_who_is_not_there_is_none(wire: responses.RequestsMock, status: int) -> None:
    wire.get(KIM_URL, status=status, json=refusal("contacts.api.not_found"))
    assert backend().get(KIM) is None


@pytest.mark.parametrize("gone", [{"contact_id": KIM, "sms_channel": {}}, {"contact_id": KIM, "email_address": None}])
def test_who_has_no_address_any_more_is_none(wire: responses.RequestsMock, gone: dict[str, Any]) -> None:
    wire.get(KIM_URL, json=gone)
    assert backend().get(KIM) is None


@pytest.mark.parametrize("remote_id", ["", "../lists/1", KIM + "/x", KIM[:-1], "two", KIM + "\n"])
def test_an_id_that_is_no_uuid_is_not_asked_for(wire: responses.RequestsMock, remote_id: str) -> None:
    for ask in (backend().get, backend().get_list, backend().delete_list, backend().members):
        with pytest.raises(RequestRejected):
            ask(remote_id)
    with pytest.raises(RequestRejected):
        backend().changed_since(datetime(2026, 1, 1, tzinfo=UTC), list_id=remote_id)
    with pytest.raises(RequestRejected):
        backend().create(permit(Verb.CREATE, lists=[remote_id]))
    assert not wire.calls


ANSWERS: list[tuple[str, dict[str, Any], type[RemoteError], str]] = [
    ("an array", {"status": 400, "json": refusal()}, RequestRejected, "contacts.api.validation.error"),
    ("an object", {"status": 400, "json": refusal()[0]}, RequestRejected, "contacts.api.validation.error"),
    ("an address for a key", {"status": 400, "json": refusal("kim@example.com")}, RequestRejected, "http_400"),
    ("a name for a key", {"status": 400, "json": refusal("kim")}, RequestRejected, "http_400"),
    ("OAuth's", {"status": 400, "json": {"error": "x", "error_description": "y"}}, RequestRejected, "http_400"),
    ("HTML", {"status": 400, "body": "<html>no</html>"}, RequestRejected, "http_400"),
    ("nothing", {"status": 400, "body": ""}, RequestRejected, "http_400"),
    ("scope", {"status": 403, "json": refusal("unauthorized")}, AuthenticationFailed, "forbidden"),
    ("gateway", {"status": 403, "json": {"message": "Forbidden"}}, AuthenticationFailed, "forbidden"),
    ("method", {"status": 405, "json": refusal()}, RequestRejected, "http_405"),
    ("type", {"status": 415, "body": ""}, RequestRejected, "http_415"),
    ("taken", {"status": 409, "json": refusal("contacts.api.conflict")}, RemoteConflict, "http_409"),
    ("fast", {"status": 429, "json": {"error_key": "throttled"}}, RateLimited, "rate_limited"),
    ("fast, HTML", {"status": 429, "body": "<h1>Too Many Requests</h1>"}, RateLimited, "rate_limited"),
    ("day", {"status": 429, "json": {"error_key": "quota_exceeded"}}, QuotaExhausted, "quota"),
    ("day, older", {"status": 429, "json": {"message": "Limit Exceeded"}}, QuotaExhausted, "quota"),
    ("queue", {"status": 429, "json": {"error_message": "The queue is full"}}, RemoteUnavailable, "queue_full"),
    ("broken", {"status": 500, "json": refusal()}, AmbiguousWrite, "http_500"),
    ("redirect", {"status": 302, "headers": {"Location": KIM_URL}}, MalformedResponse, "redirect"),
]


@pytest.mark.parametrize(("answer", "kind", "code"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_each_refusal_says_what_to_do_in_whatever_shape_it_comes(
    wire: responses.RequestsMock, answer: dict[str, Any], kind: type[RemoteError], code: str
) -> None:
    existing = read(wire)
    wire.put(KIM_URL, **answer)
    wire.post(f"{V3}/contacts", **answer)
    for act in (
        lambda: backend().update(existing, permit(lists=[FREE])),
        lambda: backend().opt_out(existing, permit(Verb.OPT_OUT)),
        lambda: backend().create(permit(Verb.CREATE, lists=[FREE])),
    ):
        with pytest.raises(RemoteError) as caught:
            act()
        assert (type(caught.value), caught.value.code) == (kind, code)
        assert "kim" not in str(caught.value)
    assert len(wire.calls) == 4


class TestCreate:
    def post(self, wire: responses.RequestsMock, **answer: Any) -> RemoteContact:
        wire.post(f"{V3}/contacts", **{"status": 201, **answer})
        return backend().create(permit(Verb.CREATE, lists=[FREE], fields={"city": "Bonn"}))

    @pytest.mark.parametrize("lists", [None, [], [PAID]])
    def test_201_is_made_whatever_else_it_tells(self, wire: responses.RequestsMock, lists: list[str] | None) -> None:
        made = self.post(wire, json=contact(lists=lists, permission="new_word"))
        assert (made.remote_id, set(made.lists), made.fields) == (KIM, {FREE}, {"city": "Bonn"})
        with pytest.raises(RemoteConflict) as caught:
            backend().update(made, permit(lists=[FREE]))
        assert caught.value.code == "not_read"

    def test_who_has_to_confirm_first_is_unconfirmed(self, wire: responses.RequestsMock) -> None:
        made = self.post(wire, json=contact(permission="pending_confirmation"))
        assert made.status is ContactStatus.UNCONFIRMED

    @pytest.mark.parametrize("body", ["", "garbage", "{}", "[" * 99, json.dumps({"contact_id": KIM})])
    def test_201_that_does_not_say_whom_is_ambiguous(self, wire: responses.RequestsMock, body: str) -> None:
        with pytest.raises(AmbiguousWrite) as caught:
            self.post(wire, body=body)
        assert caught.value.code == "no_id"

    def test_201_about_another_address_is_ambiguous(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(AmbiguousWrite) as caught:
            self.post(wire, json=contact(address="lee@example.com"))
        assert caught.value.code == "other_address"

    @pytest.mark.parametrize(
        ("words", "whose"),
        [
            (f"Validation failed: Email already exists for contact {KIM}", KIM),
            (f"Validation failed: Email already exists for contact {KIM.upper()}", KIM),
            ("Validation failed: EmailAddress is not unique", ""),
            ("Validation failed: Email already exists for contact kim@example.com", ""),
            (f"The contact {KIM} is written by somebody else just now", ""),
            ("", ""),
        ],
    )
    def test_409_says_whose_the_address_is_where_the_server_does(
        self, wire: responses.RequestsMock, words: str, whose: str
    ) -> None:
        with pytest.raises(RemoteConflict) as caught:
            self.post(wire, status=409, json=refusal("contacts.api.conflict", words))
        assert (caught.value.remote_id, caught.value.code, caught.value.status) == (whose, "http_409", 409)
        assert KIM not in str(caught.value)
        assert KIM not in repr(caught.value)

    @pytest.mark.parametrize("body", ["", "<html>409</html>", "{}", "[" * 99])
    def test_409_in_any_shape_is_a_conflict(self, wire: responses.RequestsMock, body: str) -> None:
        with pytest.raises(RemoteConflict) as caught:
            self.post(wire, status=409, body=body)
        assert caught.value.remote_id == ""


class TestWrites:
    @pytest.mark.parametrize(
        ("gone", "code"),
        [({}, "contacts.api.validation.error"), ({"deleted_at": "2026-05-01"}, "deleted")],
    )
    def test_an_opt_out_that_is_refused_says_whether_she_is_deleted(
        self, wire: responses.RequestsMock, gone: dict[str, str], code: str
    ) -> None:
        existing = read(wire, contact(lists=[], **gone))
        wire.put(KIM_URL, status=400, json=refusal())
        with pytest.raises(RequestRejected) as caught:
            backend().opt_out(existing, permit(Verb.OPT_OUT))
        assert (caught.value.code, caught.value.status) == (code, 400)

    def test_a_deleted_contact_who_has_opted_out_already_needs_no_more(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(lists=[], permission="unsubscribed", deleted_at="2026-05-01"))
        wire.put(KIM_URL, status=400, json=refusal())
        backend().opt_out(existing, permit(Verb.OPT_OUT))
        assert sent(wire)["email_address"]["permission_to_send"] == "unsubscribed"
        assert "list_memberships" not in sent(wire)

    def test_a_contact_who_is_gone_is_a_conflict(self, wire: responses.RequestsMock) -> None:
        existing = read(wire)
        wire.put(KIM_URL, status=404, json=refusal("contacts.api.not_found"))
        for act in (
            lambda: backend().update(existing, permit(lists=[FREE])),
            lambda: backend().opt_out(existing, permit(Verb.OPT_OUT)),
        ):
            with pytest.raises(RemoteConflict) as caught:
                act()
            assert caught.value.code == "gone"

    def test_opting_out_who_was_never_there_is_a_conflict(self, wire: responses.RequestsMock) -> None:
        wire.get(KIM_URL, status=404)
        nobody = RemoteContact(KIM, "kim@example.com", ContactStatus.ACTIVE, {})
        with pytest.raises(RemoteConflict):
            backend().opt_out(nobody, permit(Verb.OPT_OUT))

    @pytest.mark.parametrize(
        "body", ["<html>Welcome to the hotel</html>", "OK", json.dumps(contact(uid(3))), "[]", '{"contact_id": 7}']
    )
    def test_a_put_answered_by_somebody_else_is_ambiguous(self, wire: responses.RequestsMock, body: str) -> None:
        existing = read(wire)
        wire.put(KIM_URL, body=body)
        with pytest.raises(AmbiguousWrite) as caught:
            backend().update(existing, permit(lists=[FREE]))
        assert caught.value.code == "surprising_body"

    def test_a_put_with_a_body_that_cannot_be_read_is_ambiguous(self, wire: responses.RequestsMock) -> None:
        existing = read(wire)
        wire.put(KIM_URL, body="x", headers={"Content-Encoding": "br"})
        with pytest.raises(AmbiguousWrite) as caught:
            backend().update(existing, permit(lists=[FREE]))
        assert caught.value.code == "encoded"

    @pytest.mark.parametrize("body", ["", " \n", json.dumps(contact(KIM.upper())), json.dumps({"contact_id": KIM})])
    def test_a_put_succeeds_without_a_body_or_with_the_contact(self, wire: responses.RequestsMock, body: str) -> None:
        existing = read(wire)
        wire.put(KIM_URL, body=body)
        backend().update(existing, permit(lists=[FREE]))


class TestActivities:
    LEAVE = f"{V3}/activities/remove_list_memberships"
    LOOK = f"{V3}/activities/{ACTIVITY}"

    @pytest.fixture
    def existing(self, wire: responses.RequestsMock) -> RemoteContact:
        found = read(wire, contact(lists=[FREE, PAID]))
        wire.put(KIM_URL, status=400, json=refusal())
        return found

    def failure(self, existing: RemoteContact, **more: Any) -> tuple[type[RemoteError], str]:
        with pytest.raises(RemoteError) as caught:
            backend().update(existing, permit(**more))
        return type(caught.value), caught.value.code

    @pytest.mark.parametrize(
        ("answer", "kind", "code"),
        [
            ({"status": 400, "json": refusal()}, RequestRejected, "contacts.api.validation.error"),
            ({"status": 404}, RequestRejected, "http_404"),
            ({"status": 429, "json": {"error_message": "queue"}}, RemoteUnavailable, "queue_full"),
            ({"status": 500}, AmbiguousWrite, "http_500"),
            ({"status": 201, "body": ""}, AmbiguousWrite, "no_id"),
            ({"status": 201, "json": activity() | {"activity_id": "../x"}}, AmbiguousWrite, "no_id"),
        ],
    )
    def test_one_that_does_not_start_says_what_to_do(
        self,
        wire: responses.RequestsMock,
        existing: RemoteContact,
        answer: dict[str, Any],
        kind: type[RemoteError],
        code: str,
    ) -> None:
        wire.post(self.LEAVE, **answer)
        assert self.failure(existing) == (kind, code)
        assert len(wire.calls) == 3

    def test_one_that_does_not_end_is_ambiguous_after_a_while(
        self, wire: responses.RequestsMock, existing: RemoteContact
    ) -> None:
        wire.post(self.LEAVE, status=201, json=activity("initialized"))
        wire.get(self.LOOK, json=activity("processing"))
        assert self.failure(existing) == (AmbiguousWrite, "activity_open")
        assert [url for _, url in asked(wire)].count(self.LOOK) == 3

    @pytest.mark.parametrize(
        "look", [{"status": 503}, {"status": 429}, {"body": "garbage"}, {"body": "[]"}, {"status": 202}]
    )
    def test_a_look_that_fails_is_made_again(
        self, wire: responses.RequestsMock, existing: RemoteContact, look: dict[str, Any]
    ) -> None:
        wire.post(self.LEAVE, status=201, json=activity("initialized"))
        wire.get(self.LOOK, **look)
        wire.get(self.LOOK, json=activity())
        backend().update(existing, permit())

    @pytest.mark.parametrize("look", [{"status": 401}, {"status": 404}, {"status": 302}])
    def test_a_look_that_cannot_be_made_leaves_the_end_unknown(
        self, wire: responses.RequestsMock, existing: RemoteContact, look: dict[str, Any]
    ) -> None:
        wire.post(self.LEAVE, status=201, json=activity("initialized"))
        wire.get(self.LOOK, **look)
        kind, _ = self.failure(existing)
        assert kind is AmbiguousWrite

    @pytest.mark.parametrize(
        "ended", [activity("failed"), activity("cancelled"), activity("timed_out"), activity(errors=["one row"])]
    )
    def test_one_that_ends_badly_is_judged_by_a_reading(
        self, wire: responses.RequestsMock, existing: RemoteContact, ended: dict[str, Any]
    ) -> None:
        wire.post(self.LEAVE, status=201, json=ended)
        for lists, outcome in (
            ([PAID, FREE.upper(), NEWS], (RequestRejected, "activity_failed")),
            ([PAID], (AmbiguousWrite, "activity_partly")),
        ):
            wire.upsert("GET", KIM_URL, json=contact(lists=lists))
            assert self.failure(existing) == outcome
        for done in ({"json": contact(lists=[NEWS])}, {"status": 404}):
            wire.remove("GET", KIM_URL)
            wire.get(KIM_URL, **done)
            backend().update(existing, permit())

    @pytest.mark.parametrize("fields", [{}, {"city": "Bonn"}])
    @pytest.mark.parametrize("state", ["failed", "completed"])
    def test_a_reading_that_is_refused_does_not_say_that_she_is_gone(
        self, wire: responses.RequestsMock, existing: RemoteContact, state: str, fields: dict[str, str]
    ) -> None:
        wire.post(self.LEAVE, status=201, json=activity(state))
        wire.upsert("GET", KIM_URL, status=400, json=refusal())
        if state == "completed" and not fields:
            backend().update(existing, permit())  # it says itself that all is done: nobody reads
        else:
            assert self.failure(existing, fields=fields) == (AmbiguousWrite, "contacts.api.validation.error")

    def test_what_fails_after_it_is_ambiguous(self, wire: responses.RequestsMock, existing: RemoteContact) -> None:
        wire.post(self.LEAVE, status=201, json=activity())
        wire.upsert("GET", KIM_URL, status=503)
        assert self.failure(existing, fields={"city": "Bonn"}) == (AmbiguousWrite, "http_503")
        wire.upsert("GET", KIM_URL, json=contact(lists=[]))
        for answer, code in (({"status": 409}, "http_409"), ({"status": 500}, "http_500")):
            wire.upsert("PUT", KIM_URL, status=400)
            wire.put(KIM_URL, **answer)
            assert self.failure(existing, fields={"city": "Bonn"}) == (AmbiguousWrite, code)
            wire.remove("PUT", KIM_URL)


class TestFeeds:
    @pytest.mark.parametrize(
        "href",
        [
            "https://evil.example.com/v3/contacts?cursor=1",
            "http://api.cc.email/v3/contacts?cursor=1",
            "https://api.cc.email:444/v3/contacts?cursor=1",
            "https://x:y@api.cc.email/v3/contacts?cursor=1",
            "//evil.example.com/v3/contacts?cursor=1",
            "/v3/contact_lists?cursor=1",
            "/v3/contacts/../contact_lists?cursor=1",
            "/v3/contacts/?cursor=1",
            "/v3/contacts%2f..?cursor=1",
            "/v3/v3/contacts?cursor=1",
            "/contacts?cursor=1",
            "/v3/contacts",
            "/v3/contacts?",
            "/v3/contacts?cursor=a b",
            "/v3/contacts?cursor=é",
            "/v3/contacts?cursor=" + "x" * 9000,
            "https://api.cc.email:x/v3/contacts",
            "https://[::1/v3/contacts",
            "javascript:alert(1)",
            "",
        ],
    )
    def test_a_next_link_out_of_the_collection_is_not_followed(self, wire: responses.RequestsMock, href: str) -> None:
        wire.get(f"{V3}/contacts", json=page(contact(), next=href))
        with pytest.raises(MalformedResponse) as caught:
            list(backend().contacts())
        assert caught.value.code == "foreign_link"
        assert len(wire.calls) == 1

    @pytest.mark.parametrize("last", [{}, {"_links": None}, {"_links": {}}, {"_links": {"next": None}}])
    def test_every_way_of_ending_is_an_end(self, wire: responses.RequestsMock, last: dict[str, Any]) -> None:
        wire.get(f"{V3}/contacts", json={"contacts": [contact()], **last})
        assert len(list(backend().contacts())) == 1
        assert len(wire.calls) == 1

    def test_a_feed_that_runs_in_a_circle_is_left(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contacts", json=page(contact(), next="/v3/contacts?cursor=a"))
        with pytest.raises(MalformedResponse) as caught:
            list(backend().contacts())
        assert caught.value.code == "feed_loop"
        assert len(wire.calls) == 2

    def test_a_feed_without_an_end_is_left(self, wire: responses.RequestsMock) -> None:
        def answer(request: Any) -> tuple[int, dict[str, str], str]:
            return 200, {}, json.dumps(page(next=f"/v3/contacts?cursor={len(wire.calls)}"))

        wire.add_callback("GET", f"{V3}/contacts", callback=answer)
        endless = backend()
        endless._wire.max_pages = 5
        with pytest.raises(MalformedResponse) as caught:
            list(endless.contacts())
        assert caught.value.code == "feed_loop"
        assert len(wire.calls) == 6

    @pytest.mark.parametrize(
        ("row", "code"),
        [
            (contact(lists=None), "no_list_memberships"),
            (contact(address="kim"), "no_email_address"),
            (contact("7"), "unknown_shape"),
            ({}, "unknown_shape"),
        ],
    )
    def test_a_row_that_breaks_the_protocol_ends_the_feed(
        self, wire: responses.RequestsMock, row: dict[str, Any], code: str
    ) -> None:
        wire.get(f"{V3}/contacts", json=page(row))
        with pytest.raises(MalformedResponse) as caught:
            list(backend().contacts())
        assert caught.value.code == code

    @pytest.mark.parametrize("links", [7, {"next": "/v3/contacts?cursor=1"}, {"next": {"href": 7}}, []])
    def test_links_of_another_shape_are_not_believed(self, wire: responses.RequestsMock, links: Any) -> None:
        wire.get(f"{V3}/contacts", json={"contacts": [], "_links": links})
        with pytest.raises(MalformedResponse):
            list(backend().contacts())


class TestLists:
    def test_a_list_that_is_another_one_is_not_believed(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", json=listed(PAID))
        with pytest.raises(MalformedResponse) as caught:
            backend().get_list(FREE)
        assert caught.value.code == "other_list"

    @pytest.mark.parametrize("body", ["", "{}", json.dumps(listed("1")), json.dumps(listed(deleted_at="2026-01-01"))])
    def test_a_created_list_without_an_id_is_ambiguous(self, wire: responses.RequestsMock, body: str) -> None:
        wire.post(f"{V3}/contact_lists", status=201, body=body)
        with pytest.raises(AmbiguousWrite):
            backend().create_list("Free")

    @pytest.mark.parametrize("answer", [{"status": 404}, {"json": listed(deleted_at="2026-01-01T00:00:00Z")}])
    def test_renaming_a_list_that_is_gone_is_a_conflict(
        self, wire: responses.RequestsMock, answer: dict[str, Any]
    ) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", **answer)
        with pytest.raises(RemoteConflict):
            backend().rename_list(FREE, "Gratis")

    def test_a_list_that_goes_while_it_is_renamed_is_a_conflict(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", json=listed())
        wire.put(f"{V3}/contact_lists/{FREE}", status=404)
        with pytest.raises(RemoteConflict):
            backend().rename_list(FREE, "Gratis")

    def test_a_rename_answered_about_another_list_is_ambiguous(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", json=listed())
        wire.put(f"{V3}/contact_lists/{FREE}", json=listed(PAID))
        with pytest.raises(AmbiguousWrite):
            backend().rename_list(FREE, "Gratis")

    @pytest.mark.parametrize("count", [-1, True, None, "3", 1.5])
    def test_a_count_that_is_none_is_none(self, wire: responses.RequestsMock, count: object) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", json=listed(membership_count=count))
        found = backend().get_list(FREE)
        assert found is not None
        assert found.members is None

    def test_a_deletion_that_is_refused_is_told(self, wire: responses.RequestsMock) -> None:
        wire.delete(f"{V3}/contact_lists/{FREE}", status=400, json=refusal())
        with pytest.raises(RequestRejected):
            backend().delete_list(FREE)


@pytest.mark.parametrize(
    ("date", "stamp"),
    [
        ("Tue, 28 Apr 2026 21:46:24 GMT", datetime(2026, 4, 28, 21, 46, 22, tzinfo=UTC)),
        ("Tue, 28 Apr 2026 21:46:23 GMT", None),  # the second of that change may not be over
        ("Tue, 28 Apr 2026 20:46:24 GMT", None),  # the server's clocks differ
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_stamp_is_given_where_any_later_change_must_have_another(
    wire: responses.RequestsMock, date: str, stamp: datetime | None
) -> None:
    wire.get(KIM_URL, json=contact(), headers={"Date": date} if date else {})
    found = backend().get(KIM)
    assert found is not None
    assert (found.stamp, found.updated_at) == (stamp, None)
