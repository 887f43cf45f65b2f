"""The feeds' exact requests on both wires, and what is made of odd rows, links and cursors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import responses
from responses.matchers import query_string_matcher

from django_ctct.exceptions import MalformedResponse, RequestRejected
from django_ctct.types import ContactStatus, Sighting

from . import builders as v1
from . import json_builders as v3
from .builders import BASE, feed, member, summary
from .feeds import sightings
from .json_builders import FREE, PAID, V3, contact, page, refusal, scripted, uid

MOMENT = datetime(2026, 11, 22, 14, 3, 4, 567899, tzinfo=timezone(timedelta(hours=1)))
WHOLE = f"{V3}/contacts?status=all&include=list_memberships&limit=500"
BEHIND = "cursor=bGltaXQ9MSZuZXh0PTI%3D"
DATED = {"Date": "Sun, 22 Nov 2026 13:03:09 GMT"}


@pytest.fixture(autouse=True)
def wire() -> Iterator[responses.RequestsMock]:
    with scripted() as mock:
        yield mock


def urls(wire: responses.RequestsMock) -> list[str]:
    assert {call.request.method for call in wire.calls} <= {"GET"}
    return [str(call.request.url) for call in wire.calls]


class TestV3:
    def test_changes_are_one_request_a_second_early(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contacts", json=page(), headers=DATED)
        (answer,) = v3.backend().changes(MOMENT)
        after = "updated_after=2026-11-22T13%3A03%3A03Z"
        assert urls(wire) == [f"{V3}/contacts?{after}&status=all&include=list_memberships&limit=500"]
        assert (answer.sightings, answer.cursor) == ((), "")
        assert answer.at == datetime(2026, 11, 22, 13, 3, 9, tzinfo=UTC)

    def test_opt_outs_are_asked_for_by_their_own_date(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contacts", json=page())
        assert sightings(v3.backend().opt_outs(MOMENT)) == []
        after = "optout_after=2026-11-22T13%3A03%3A03Z"
        assert urls(wire) == [f"{V3}/contacts?{after}&status=all&include=list_memberships&limit=500"]

    def test_a_walk_asks_for_500_of_every_status_and_follows_the_cursor_alone(
        self, wire: responses.RequestsMock
    ) -> None:
        wire.get(WHOLE, json=page(contact(), next=f"/v3/contacts?{BEHIND}"))
        wire.get(f"{V3}/contacts?{BEHIND}", json=page())
        first, last = v3.backend().walk([FREE, PAID])
        assert urls(wire) == [WHOLE, f"{V3}/contacts?{BEHIND}"]
        assert (bool(first.cursor), last.cursor) == (True, "")

    def test_a_walk_goes_on_with_one_request(self, wire: responses.RequestsMock) -> None:
        wire.get(WHOLE, json=page(contact(), next=f"/v3/contacts?{BEHIND}"))
        first = next(v3.backend().walk([]))
        wire.get(f"{V3}/contacts?{BEHIND}", json=page(contact(uid(3), "ada@example.com")))
        wire.calls.reset()
        (rest,) = v3.backend().walk([], first.cursor)
        assert [one.email for one in rest.sightings] == ["ada@example.com"]
        assert urls(wire) == [f"{V3}/contacts?{BEHIND}"]

    def test_rows_are_told_with_their_status_their_lists_and_their_opt_out(self, wire: responses.RequestsMock) -> None:
        out = {"opt_out_date": "2026-05-01T10:00:00-05:00", "opt_out_source": "Contact"}
        rows = [
            contact(uid(1), " Ada@Example.com ", lists=[FREE.upper(), PAID]),
            contact(uid(2), "b@example.com", lists=[FREE], permission="unsubscribed", opt=out),
            contact(uid(3), "c@example.com", lists=[FREE], permission="pending_confirmation", first_name=None),
            contact(uid(4), "d@example.com", lists=[FREE], deleted_at="2026-05-01", last_name=None),
            contact(uid(5), "e@example.com", lists=[]),
        ]
        wire.get(f"{V3}/contacts", json=page(*rows))
        none: frozenset[str] = frozenset()
        at, told = datetime(2026, 5, 1, 15, tzinfo=UTC), sightings(v3.backend().walk([]))
        assert {one.updated_at for one in told} == {datetime(2026, 4, 28, 21, 46, 22, tzinfo=UTC)}
        assert [replace(one, updated_at=None) for one in told] == [
            Sighting(uid(1), "ada@example.com", ContactStatus.ACTIVE, frozenset({FREE, PAID}), name="Lee, Kim"),
            Sighting(uid(2), "b@example.com", ContactStatus.DO_NOT_MAIL, none, opted_out_at=at, name="Lee, Kim"),
            Sighting(uid(3), "c@example.com", ContactStatus.UNCONFIRMED, frozenset({FREE}), name="Lee"),
            Sighting(uid(4), "d@example.com", ContactStatus.REMOVED, none, name="Kim"),
            Sighting(uid(5), "e@example.com", ContactStatus.REMOVED, none, name="Lee, Kim"),
        ]

    @pytest.mark.parametrize("word", ["new_word", "", None])
    def test_a_permission_that_nobody_knows_says_nothing_and_ends_no_feed(
        self, wire: responses.RequestsMock, word: str | None
    ) -> None:
        rows = [contact(permission=word), contact(uid(3), "ada@example.com")]
        wire.get(f"{V3}/contacts", json=page(*rows))
        strange, ada = sightings(v3.backend().changes(MOMENT))
        assert (strange.email, strange.status, strange.lists) == ("kim@example.com", None, None)
        assert (ada.status, ada.lists) == (ContactStatus.ACTIVE, frozenset({FREE}))

    @pytest.mark.parametrize(
        "row",
        [
            {"contact_id": uid(5), "sms_channel": {}},
            {"contact_id": uid(5), "email_address": None},
            {"contact_id": uid(5), "email_address": {}},
            contact(uid(5), address="kim"),
        ],
    )
    def test_who_has_no_address_is_passed_over_and_ends_no_feed(
        self, wire: responses.RequestsMock, row: dict[str, Any]
    ) -> None:
        wire.get(f"{V3}/contacts", json=page(row, contact()))
        assert [one.email for one in sightings(v3.backend().walk([]))] == ["kim@example.com"]

    @pytest.mark.parametrize(
        ("row", "code"), [(contact(lists=None), "no_list_memberships"), (contact("7"), "unknown_shape")]
    )
    def test_a_page_that_is_none_of_v3s_ends_the_feed(
        self, wire: responses.RequestsMock, row: dict[str, Any], code: str
    ) -> None:
        wire.get(f"{V3}/contacts", json=page(row))
        with pytest.raises(MalformedResponse) as caught:
            sightings(v3.backend().walk([]))
        assert caught.value.code == code

    @pytest.mark.parametrize(("status", "code"), [(400, "cursor"), (404, "cursor"), (410, "http_410")])
    def test_a_refused_cursor_is_told_from_other_refusals(
        self, wire: responses.RequestsMock, status: int, code: str
    ) -> None:
        wire.get(WHOLE, json=page(contact(), next=f"/v3/contacts?{BEHIND}"))
        cursor = next(v3.backend().walk([])).cursor
        wire.get(f"{V3}/contacts?{BEHIND}", status=status, json=refusal())
        with pytest.raises(RequestRejected) as caught:
            sightings(v3.backend().walk([], cursor))
        assert (caught.value.code, caught.value.path, caught.value.status) == (code, "/contacts", status)
        assert BEHIND not in str(caught.value)

    def test_a_refusal_of_a_walk_from_the_beginning_is_no_matter_of_cursors(self, wire: responses.RequestsMock) -> None:
        wire.get(WHOLE, status=400, json=refusal())
        with pytest.raises(RequestRejected) as caught:
            sightings(v3.backend().walk([]))
        assert caught.value.code == "contacts.api.validation.error"


class TestV1:
    def test_changes_are_one_request_for_each_list_type_a_millisecond_early(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(), headers=DATED)
        pages = list(v1.backend().changes(MOMENT))
        since = f"{BASE}/contacts?updatedsince=2026-11-22T13%3A03%3A04.566Z&listtype="
        assert urls(wire) == [since + kind for kind in ("active", "removed", "do-not-mail")]
        assert {page.at for page in pages} == {datetime(2026, 11, 22, 13, 3, 9, tzinfo=UTC)}

    def test_opt_outs_are_among_the_changes(self, wire: responses.RequestsMock) -> None:
        assert list(v1.backend().opt_outs(MOMENT)) == []
        assert urls(wire) == []

    def test_a_walk_goes_through_contacts_and_then_the_members_of_each_list(self, wire: responses.RequestsMock) -> None:
        begin = {"match": [query_string_matcher("")]}
        wire.get(f"{BASE}/contacts", body=feed(summary(), next="/ws/customers/acme/contacts?next=ab-1"), **begin)
        wire.get(f"{BASE}/contacts?next=ab-1", body=feed(summary("3", "ada@example.com", "Do Not Mail")))
        wire.get(f"{BASE}/lists/7/members", body=feed(member("2", "kim@example.com"), next="members?next=zz"), **begin)
        wire.get(f"{BASE}/lists/7/members?next=zz", body=feed())
        wire.get(f"{BASE}/lists/10/members", body=feed())
        pages = list(v1.backend().walk(["7", "10", "7"]))
        asked = ["contacts", "contacts?next=ab-1", "lists/7/members", "lists/7/members?next=zz", "lists/10/members"]
        assert urls(wire) == [f"{BASE}/{one}" for one in asked]
        assert sightings(pages) == [
            Sighting("2", "kim@example.com", ContactStatus.ACTIVE, name="Lee, Kim"),
            Sighting("3", "ada@example.com", ContactStatus.DO_NOT_MAIL, name="Lee, Kim"),
            Sighting("2", "kim@example.com", None, on_list="7", name="Lee, Kim"),
        ]
        wire.calls.reset()
        assert len(list(v1.backend().walk(["7", "10"], pages[1].cursor))) == 3
        assert urls(wire) == [f"{BASE}/{one}" for one in asked[2:]]

    @pytest.mark.parametrize("href", ["/ws/customers/ann@acme.example/contacts?next=x", "contacts?next=x", "?next=x"])
    def test_however_a_link_is_spelt_the_walk_goes_on_in_its_feed(
        self, wire: responses.RequestsMock, href: str
    ) -> None:
        base = BASE.replace("acme", "ann%40acme.example")
        ours = {"username": "Ann@acme.example"}
        row = summary().replace("customers/acme", "customers/ann@acme.example")
        wire.get(f"{base}/contacts", body=feed(row, next=href))
        first = next(v1.backend(**ours).walk([]))
        wire.get(f"{base}/contacts?next=x", body=feed())
        wire.calls.reset()
        assert len(list(v1.backend(**ours).walk([], first.cursor))) == 1
        assert urls(wire) == [f"{base}/contacts?next=x"]

    @pytest.mark.parametrize(
        "href",
        [
            "/ws/customers/acme/lists/7/members?next=1",
            "/ws/customers/acme/contacts",
            "/ws/customers/acme/contacts?next=a b",
            "/ws/customers/acme/contacts?next=é",
            "/ws/customers/acme/contacts?next=" + "x" * 9000,
        ],
    )
    def test_a_link_out_of_the_feed_is_not_followed(self, wire: responses.RequestsMock, href: str) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary(), next=href))
        with pytest.raises(MalformedResponse) as caught:
            sightings(v1.backend().walk(["7"]))
        assert caught.value.code == "foreign_link"
        assert len(wire.calls) == 1

    def test_a_status_that_nobody_knows_ends_no_feed(self, wire: responses.RequestsMock) -> None:
        rows = [summary(status="Asleep"), summary("3", "ada@example.com")]
        wire.get(f"{BASE}/contacts", body=feed(*rows))
        assert [one.status for one in sightings(v1.backend().walk([]))] == [None, ContactStatus.ACTIVE]

    @pytest.mark.parametrize("address", ["", " ", "kim"])
    def test_who_has_no_address_is_passed_over_and_ends_no_feed(
        self, wire: responses.RequestsMock, address: str
    ) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary("4", address), summary()))
        assert [one.email for one in sightings(v1.backend().walk([]))] == ["kim@example.com"]

    @pytest.mark.parametrize(("status", "code"), [(400, "cursor"), (404, "cursor"), (405, "http_405")])
    def test_a_refused_cursor_is_told_from_other_refusals(
        self, wire: responses.RequestsMock, status: int, code: str
    ) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary(), next="?next=ab-1"))
        cursor = next(v1.backend().walk(["7"])).cursor
        wire.get(f"{BASE}/contacts?next=ab-1", status=status)
        with pytest.raises(RequestRejected) as caught:
            sightings(v1.backend().walk(["7"], cursor))
        assert (caught.value.code, caught.value.path, caught.value.status) == (code, "/contacts", status)
        assert "ab-1" not in str(caught.value)

    def test_a_later_refusal_is_no_matter_of_the_cursor(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{BASE}/contacts", body=feed(summary(), next="?next=ab-1"))
        wire.get(f"{BASE}/contacts?next=ab-1", body=feed(summary()))
        wire.get(f"{BASE}/lists/7/members", status=404)
        cursor = next(v1.backend().walk(["7"])).cursor
        with pytest.raises(RequestRejected) as caught:
            sightings(v1.backend().walk(["7"], cursor))
        assert caught.value.code == "http_404"
