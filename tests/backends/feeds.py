"""What every backend's feeds tell, word for word: subclass it with an ``account`` and a ``door`` to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from django_ctct.backends.base import BaseBackend, Gate
from django_ctct.backends.cursors import Cursors
from django_ctct.exceptions import RequestRejected
from django_ctct.sandbox import Account
from django_ctct.sandbox.acts import act, reset
from django_ctct.sandbox.values import Source
from django_ctct.types import ContactStatus, Page, Sighting

Door = Callable[[Gate | None], BaseBackend]

ACTIVE, UNCONFIRMED = ContactStatus.ACTIVE, ContactStatus.UNCONFIRMED
REMOVED, OUT = ContactStatus.REMOVED, ContactStatus.DO_NOT_MAIL

FREE, PAID, BOARD = "Free members", "Sustainers", "Board"
SCENE = {
    "lists": [FREE, PAID, BOARD],
    "contacts": [
        {"email": "kim@example.com", "lists": [FREE], "first_name": "Kim", "last_name": "Lee"},
        {"email": "both@example.com", "lists": [FREE, PAID]},
        {"email": "unconfirmed@example.com", "lists": [FREE], "status": "Unconfirmed"},
        {"email": "removed@example.com"},
        {"email": "out@example.com", "status": "Do Not Mail"},
        {"email": "deleted@example.com", "deleted": True},
    ],
}
EVERYBODY = [
    ("kim@example.com", ACTIVE, {FREE}),
    ("both@example.com", ACTIVE, {FREE, PAID}),
    ("unconfirmed@example.com", UNCONFIRMED, {FREE}),
    ("removed@example.com", REMOVED, set()),
    ("out@example.com", OUT, set()),
    ("deleted@example.com", REMOVED, set()),
]

#: What somebody does over there, and what is new then: whose address, her status and her lists.
ACTS: list[tuple[dict[str, Any], tuple[str, ContactStatus, set[str]]]] = [
    ({"do": "create", "email": "new@example.com", "lists": [PAID]}, ("new@example.com", ACTIVE, {PAID})),
    ({"do": "join", "email": "her@example.com", "list": FREE}, ("her@example.com", ACTIVE, {FREE})),
    ({"do": "join", "email": "kim@example.com", "list": BOARD}, ("kim@example.com", ACTIVE, {FREE, BOARD})),
    ({"do": "add", "email": "removed@example.com", "list": PAID}, ("removed@example.com", ACTIVE, {PAID})),
    ({"do": "leave", "email": "both@example.com", "list": FREE}, ("both@example.com", ACTIVE, {PAID})),
    ({"do": "leave", "email": "kim@example.com", "list": FREE}, ("kim@example.com", REMOVED, set())),
    ({"do": "remove", "email": "kim@example.com", "list": FREE}, ("kim@example.com", REMOVED, set())),
    ({"do": "unsubscribe", "email": "both@example.com"}, ("both@example.com", OUT, set())),
    ({"do": "join", "email": "out@example.com", "list": FREE}, ("out@example.com", ACTIVE, {FREE})),
    ({"do": "confirm", "email": "unconfirmed@example.com"}, ("unconfirmed@example.com", ACTIVE, {FREE})),
    ({"do": "edit", "email": "kim@example.com", "to": "lee@example.com"}, ("lee@example.com", ACTIVE, {FREE})),
    ({"do": "delete", "email": "kim@example.com"}, ("kim@example.com", REMOVED, set())),
    ({"do": "delete_list", "list": FREE, "email": ""}, ("kim@example.com", REMOVED, set())),
]


class Counter:
    """A gate that is always open, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def acquire(self) -> None:
        self.calls += 1

    def begun(self) -> None:
        return None


class FeedContract:
    """Behaviours of the feeds. Each attribute is a row of docs/wires.md.

    The subclass gives the fixtures ``account``, fresh, and ``door``, which opens a new backend to it.
    """

    #: Whether sightings tell the lists, or a walk goes through the members of each list.
    names_lists = False
    #: The calls of a look at what changed, where nothing did.
    calls_for_nothing = 3
    #: How many contacts fill two pages and a bit.
    crowd = 120
    #: Whether the server can forget a place.
    forgets = True
    #: The cursor's first word.
    wire = "v1"

    @pytest.fixture
    def backend(self, account: Account, door: Door) -> BaseBackend:
        reset(account, SCENE)
        return door(None)

    def list_id(self, backend: BaseBackend, name: str) -> str:
        return next(one.remote_id for one in backend.lists() if one.name == name)

    def lists(self, backend: BaseBackend) -> list[str]:
        return [one.remote_id for one in backend.lists()]

    def names(self, backend: BaseBackend, found: Iterable[Sighting]) -> list[tuple[str, ContactStatus | None, Any]]:
        known = {one.remote_id: one.name for one in backend.lists()}
        return [
            (one.email, one.status, one.lists if one.lists is None else {known[each] for each in one.lists})
            for one in found
        ]

    def expected(self, *news: tuple[str, ContactStatus, set[str]]) -> list[tuple[str, ContactStatus, Any]]:
        return [(email, status, lists if self.names_lists else None) for email, status, lists in news]

    # What changed

    @pytest.mark.parametrize(("what", "news"), ACTS)
    def test_what_somebody_does_over_there_is_news(
        self,
        account: Account,
        backend: BaseBackend,
        what: dict[str, Any],
        news: tuple[str, ContactStatus, set[str]],
    ) -> None:
        account.clock.advance(60)
        since = account.clock.now()
        ids = {one.email: one.remote_id for one in backend.contacts()}
        act(account, what)
        told = sightings(backend.changes(since))
        assert self.expected(news)[0] in self.names(backend, told)
        touched = 3 if what["do"] == "delete_list" else 1
        assert len(told) == touched
        if touched == 1 and what["email"] in ids:
            assert told[0].remote_id == ids[what["email"]]

    def test_where_nothing_is_new_nobody_is_told_of_in_as_few_calls(self, account: Account, door: Door) -> None:
        reset(account, SCENE)
        account.clock.advance(60)
        gate = Counter()
        pages = list(door(gate).changes(account.clock.now()))
        assert (gate.calls, len(pages)) == (self.calls_for_nothing, self.calls_for_nothing)
        assert sightings(pages) == []

    def test_what_happened_at_that_very_moment_is_news(self, account: Account, backend: BaseBackend) -> None:
        account.clock.advance(60)
        act(account, {"do": "unsubscribe", "email": "kim@example.com"})
        kim = account.find("kim@example.com")
        assert kim is not None
        assert [one.email for one in sightings(backend.changes(kim.updated))] == ["kim@example.com"]

    def test_many_changes_come_page_after_page(self, account: Account, backend: BaseBackend) -> None:
        account.clock.advance(60)
        since = account.clock.now()
        emails = fill(account, self.crowd)
        pages = list(backend.changes(since))
        assert len(pages) == self.calls_for_nothing + 2
        assert sorted(one.email for one in sightings(pages)) == sorted(emails)

    def test_a_moment_without_a_zone_is_a_mistake(self, backend: BaseBackend) -> None:
        with pytest.raises(ValueError, match="aware"):
            list(backend.changes(datetime(2026, 1, 1)))  # noqa: DTZ001 - the mistake
        if backend.asks_for_opt_outs:
            with pytest.raises(ValueError, match="aware"):
                list(backend.opt_outs(datetime(2026, 1, 1)))  # noqa: DTZ001 - the mistake

    def test_opt_outs_are_asked_for_by_themselves_where_they_may_be_no_changes(
        self, account: Account, backend: BaseBackend
    ) -> None:
        account.clock.advance(60)
        since = account.clock.now()
        act(account, {"do": "unsubscribe", "email": "kim@example.com"})
        told = self.names(backend, sightings(backend.opt_outs(since)))
        assert told == (self.expected(("kim@example.com", OUT, set())) if backend.asks_for_opt_outs else [])

    def test_an_opt_out_says_when(self, account: Account, backend: BaseBackend) -> None:
        account.clock.advance(60)
        since = account.clock.now()
        act(account, {"do": "unsubscribe", "email": "kim@example.com"})
        (told,) = sightings(backend.changes(since))
        assert (told.opted_out_at is not None) is self.names_lists
        assert told.name == "Lee, Kim"

    def test_a_page_says_when_it_was_given_by_the_servers_clock(self, account: Account, backend: BaseBackend) -> None:
        account.clock.advance(86_400 * 3)
        now = account.clock.now()
        for page in (next(backend.changes(now)), next(backend.walk(self.lists(backend)))):
            assert page.at is not None
            assert abs(page.at - now) < timedelta(seconds=5)

    def test_who_has_no_address_is_passed_over(self, account: Account, backend: BaseBackend) -> None:
        account.clock.advance(60)
        since = account.clock.now()
        kim = account.find("kim@example.com")
        assert kim is not None
        account.put(replace(kim, address="", spelling="", updated=account.clock.now()))
        assert sightings(backend.changes(since)) == []
        told = sightings(backend.walk(self.lists(backend)))
        assert {one.email for one in told} == {email for email, *_ in EVERYBODY} - {"kim@example.com"}

    # Everybody

    def test_a_walk_tells_of_everybody_whatever_the_status(self, backend: BaseBackend) -> None:
        told = sightings(backend.walk(self.lists(backend)))
        contacts = [one for one in told if not one.on_list]
        found = self.names(backend, contacts)
        assert sorted(found, key=str) == sorted(self.expected(*EVERYBODY), key=str)
        assert {one.remote_id for one in contacts} == {one.remote_id for one in backend.contacts()}

    def test_lists_are_told_with_the_contact_or_by_their_members(self, backend: BaseBackend) -> None:
        asked = [self.list_id(backend, name) for name in (PAID, FREE)]
        told = [(one.email, one.on_list) for one in sightings(backend.walk(asked)) if one.on_list]
        free = [(email, asked[1]) for email, _, lists in EVERYBODY if FREE in lists]
        expected = [] if self.names_lists else [("both@example.com", asked[0]), *free]
        assert sorted(told) == sorted(expected)
        assert backend.walks_lists is not self.names_lists
        assert all(one.status is None for one in sightings(backend.walk(asked)) if one.on_list)

    def test_a_walk_goes_on_behind_any_page_in_another_process(
        self, account: Account, backend: BaseBackend, door: Door
    ) -> None:
        fill(account, self.crowd)
        asked = self.lists(backend)
        whole = list(backend.walk(asked))
        assert len(whole) > 2
        told = [(one.email, one.on_list) for one in sightings(whole)]
        assert len(told) == len(set(told)) > self.crowd
        assert [bool(page.cursor) for page in whole] == [True] * (len(whole) - 1) + [False]
        for place, page in enumerate(whole[:-1]):
            rest = list(door(None).walk(asked, page.cursor))
            assert [one.sightings for one in rest] == [one.sightings for one in whole[place + 1 :]]

    def test_who_is_there_all_the_while_is_met_whatever_happens_between_the_pages(
        self, account: Account, backend: BaseBackend, door: Door
    ) -> None:
        emails = fill(account, self.crowd)
        asked = [self.list_id(backend, FREE)]
        first = next(backend.walk(asked))
        for one in first.sightings[:20]:
            act(account, {"do": "remove", "email": one.email, "list": FREE})
        fill(account, 10, "late")
        met = {one.email for one in (*first.sightings, *sightings(door(None).walk(asked, first.cursor)))}
        assert met >= set(emails)

    def test_a_list_that_is_bound_or_let_go_meanwhile_is_walked_or_not(
        self, account: Account, backend: BaseBackend
    ) -> None:
        if self.names_lists:
            pytest.skip("a walk asks for no lists")
        free, paid, board = (self.list_id(backend, name) for name in (FREE, PAID, BOARD))
        act(account, {"do": "add", "email": "kim@example.com", "list": BOARD})
        pages = list(backend.walk([paid, free]))
        behind_contacts = pages[0].cursor
        in_free = pages[1].cursor
        assert on(backend.walk([board, free], in_free)) == [free, free, free, board]
        assert on(backend.walk([board], behind_contacts)) == [board]
        assert on(backend.walk([], behind_contacts)) == []

    def test_a_list_that_is_not_there_stops_the_walk(self, account: Account, backend: BaseBackend) -> None:
        if self.names_lists:
            assert len(sightings(backend.walk(["00000000-0000-4000-8000-000000000999"]))) == len(EVERYBODY)
            return
        with pytest.raises(RequestRejected) as caught:
            list(backend.walk(["999"]))
        assert caught.value.code == "http_404"
        (first,) = [page.cursor for page in backend.walk([self.list_id(backend, BOARD)]) if page.cursor]
        act(account, {"do": "delete_list", "list": BOARD})
        with pytest.raises(RequestRejected) as caught:
            list(backend.walk([first.rpartition("/")[2]], first))
        assert caught.value.code == "http_404"  # to walk from the beginning would not help

    def test_an_id_that_no_list_can_have_is_refused(self, backend: BaseBackend) -> None:
        if not self.names_lists:
            with pytest.raises(RequestRejected) as caught:
                list(backend.walk(["../1"]))
            assert caught.value.code == "bad_id"

    # Cursors

    def test_a_cursor_from_elsewhere_is_refused_and_nothing_is_sent(self, account: Account, door: Door) -> None:
        reset(account, SCENE)
        fill(account, self.crowd)
        own = next(door(None).walk([])).cursor
        mark = ":".join(own.split(":", 2)[:2]) + ":"
        place = own.removeprefix(mark)
        others = [
            ("v1", "https://api.constantcontact.com", "acme"),
            ("v3", "https://api.cc.email", ""),
            ("v3", "https://api.cc.email", "another-key"),
            ("memory", "7"),
            (self.wire, "http://127.0.0.1:1", "acme"),
        ]
        bent = [place + " x", place + "#x", place + "\n", "", "contacts?", "é", "lists/1/members?next=1"]
        bent += ["http://evil.example.com/contacts?next=1", "//evil.example.com/?next=1", "contacts/../x?next=1"]
        bent = [one for one in bent if self.wire != "v3" or not one.isascii() or " " in one or "#" in one or not one]
        bent += ["contacts?page=x"] if self.wire == "memory" else []  # its own places are ids
        gate = Counter()
        for cursor in (
            *(Cursors(*whose).write(place) for whose in others),
            *(mark + one for one in bent),
            *(own[1:], own.upper(), place, "x", ".", "7", "/ws/customers/acme/contacts?next=1", "limit=500"),
        ):
            with pytest.raises(RequestRejected) as caught:
                list(door(gate).walk([], cursor))
            assert caught.value.code == "cursor"
            assert cursor not in str(caught.value)
        assert gate.calls == 0

    def test_a_cursor_that_the_server_knows_no_more_is_refused_and_the_walk_can_begin_anew(
        self, account: Account, backend: BaseBackend, door: Door
    ) -> None:
        if not self.forgets:
            pytest.skip("nothing is forgotten here")
        fill(account, self.crowd)
        usual = account.switches
        account.switch({"next_token_life": 60})
        cursor = next(backend.walk([])).cursor
        account.clock.advance(120)
        with pytest.raises(RequestRejected) as caught:
            list(door(None).walk([], cursor))
        assert caught.value.code == "cursor"
        assert len(sightings(door(None).walk([]))) == self.crowd + len(EVERYBODY)
        account.switch(usual.as_dict())


def sightings(pages: Iterable[Page]) -> list[Sighting]:
    return [one for page in pages for one in page.sightings]


def on(pages: Iterable[Page]) -> list[str]:
    """Return on which lists contacts were met, one word for each."""
    return [one.on_list for one in sightings(pages)]


def fill(account: Account, count: int, name: str = "m") -> list[str]:
    """Put many on the free members' list; return their addresses."""
    listed = account.list_named(FREE)
    assert listed is not None
    emails = [f"{name}{number:04}@example.com" for number in range(count)]
    with account.lock:
        for email in emails:
            blank = account.blank(email, Source.CUSTOMER)
            account.put(replace(blank, memberships={listed.id: blank.opt_in}))
    return emails
