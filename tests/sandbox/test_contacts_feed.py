"""The contacts feed: paging, searches, changes since, and the members of lists (v1 sheet §3.1–§3.3, §4.3)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from urllib.parse import quote, urljoin

import pytest

from tests.sandbox.caller import ATOM, CTCT, Caller, names


def crowd(api: Caller, size: int) -> list[str]:
    people = [{"email": f"p{number:03d}@example.com", "lists": ["News"]} for number in range(size)]
    api.control("reset", {"lists": ["News"], "contacts": people})
    return [person["email"] for person in reversed(people)]  # type: ignore[misc]


def next_href(feed: ET.Element) -> str | None:
    return next((each.get("href") for each in feed.findall(f"{ATOM}link") if each.get("rel") == "next"), None)


def walk(api: Caller, path: str) -> list[list[str]]:
    url, pages = api.base + path, []
    while True:
        feed = ET.fromstring(api.session.get(url, timeout=10).content)
        pages.append([each.text or "" for each in feed.iter(f"{CTCT}EmailAddress")])
        href = next_href(feed)
        if href is None:
            return pages
        assert len(pages) < 100
        url = urljoin(url, href)


@pytest.mark.parametrize(("size", "pages"), [(0, [0]), (1, [1]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])])
def test_a_feed_has_fifty_entries_a_page_newest_first(api: Caller, size: int, pages: list[int]) -> None:
    everybody = crowd(api, size)
    found = walk(api, "contacts")
    assert [len(page) for page in found] == pages
    assert [address for page in found for address in page] == everybody


def test_the_next_token_carries_the_filter_and_is_lower_case(api: Caller) -> None:
    everybody = crowd(api, 5)
    api.switch(page_size=2)
    api.control("act", {"do": "remove", "email": everybody[1], "list": "News"})
    path = "contacts?updatedsince=2010-01-01T00%3A00%3A00.000Z&listtype=active"
    href = next_href(api.tree(path))
    assert href is not None
    assert href.partition("?")[2] == href.partition("?")[2].lower()
    assert [address for page in walk(api, path) for address in page] == [
        address for address in everybody if address != everybody[1]
    ]


def test_a_contact_that_arrives_between_pages_moves_nothing(api: Caller) -> None:
    everybody = crowd(api, 4)
    api.switch(page_size=2)
    href = next_href(api.tree("contacts"))
    api.post(address="late@example.com")
    feed = ET.fromstring(api.session.get(api.running.url + str(href), timeout=10).content)
    assert [each.text for each in feed.iter(f"{CTCT}EmailAddress")] == everybody[2:]


def test_a_relative_next_link_is_relative_to_the_collection(api: Caller) -> None:
    everybody = crowd(api, 3)
    api.switch(page_size=2, next_href="relative")
    assert str(next_href(api.tree("contacts"))).startswith("contacts?next=")
    assert walk(api, "contacts") == [everybody[:2], everybody[2:]]
    assert [len(page) for page in walk(api, "lists/1/members")] == [2, 1]


def test_a_token_that_is_not_ours_is_refused(api: Caller) -> None:
    assert api.get("contacts?next=zzz").status_code == 400
    forged = b'{"emails":[],"since":"","group":"","list_id":0,"after":"x","issued":1}'.hex()
    assert api.get(f"contacts?next={forged}").status_code == 400


@pytest.mark.parametrize(("life", "status"), [(0, 200), (60, 400)])
def test_a_token_may_expire(api: Caller, life: int, status: int) -> None:
    crowd(api, 3)
    api.switch(page_size=2, next_token_life=life)
    href = next_href(api.tree("contacts"))
    api.control("clock", {"advance": 61})
    assert api.session.get(api.running.url + str(href), timeout=10).status_code == status


@pytest.mark.parametrize("status", [400, 404])
def test_a_token_that_expired_is_refused_in_one_way_or_the_other(api: Caller, status: int) -> None:
    crowd(api, 3)
    api.switch(page_size=2, next_token_life=60, next_token_refusal=str(status))
    href = next_href(api.tree("contacts"))
    api.control("clock", {"advance": 61})
    assert api.session.get(api.running.url + str(href), timeout=10).status_code == status
    assert api.get("contacts?next=zzz").status_code == 400


def test_the_feed_holds_contacts_of_every_status(scene: Caller) -> None:
    statuses = [each.text for each in scene.tree("contacts").iter(f"{CTCT}Status")]
    assert statuses == ["Unconfirmed", "Do Not Mail", "Removed", "Active"]


def test_a_search_finds_several_addresses_of_any_status_and_skips_unknown_ones(scene: Caller) -> None:
    path = "contacts?email=ada%40example.com&email=nobody%40example.com&email=dora%40example.com"
    assert scene.addresses(path) == ["dora@example.com", "ada@example.com"]


def test_a_search_is_cut_into_pages_newest_first(api: Caller) -> None:
    everybody = crowd(api, 5)
    api.switch(page_size=2)
    path = "contacts?" + "&".join(f"email={quote(each)}" for each in [*everybody[2:], "x@example.com", *everybody[:2]])
    assert walk(api, path) == [everybody[:2], everybody[2:4], everybody[4:]]


def test_a_search_is_case_sensitive(scene: Caller) -> None:
    assert scene.addresses("contacts?email=Ada%40example.com") == []


def test_a_plus_must_be_encoded(api: Caller) -> None:
    assert api.post(address="ada+news@example.com").status_code == 201
    assert api.addresses("contacts?email=ada%2Bnews%40example.com") == ["ada+news@example.com"]
    assert api.addresses("contacts?email=ada+news%40example.com") == []


@pytest.mark.parametrize(("count", "status"), [(50, 200), (51, 400)])
def test_a_search_takes_fifty_addresses(api: Caller, count: int, status: int) -> None:
    query = "&".join(f"email=p{number}%40example.com" for number in range(count))
    assert api.get(f"contacts?{query}").status_code == status


@pytest.mark.parametrize(
    ("filtered", "found"),
    [
        ("listtype=active", ["una@example.com", "ada@example.com"]),
        ("listtype=removed", ["rex@example.com"]),
        ("listtype=do-not-mail", ["dora@example.com"]),
        ("listid=1", ["ada@example.com"]),
        ("listid=2", []),
    ],
)
@pytest.mark.parametrize("since", ["2010-01-01T00:00:00.000Z", "2010-01-01", "2010-01-01T02:00:00+02:00"])
def test_changes_are_found_by_type_and_by_list(scene: Caller, filtered: str, found: list[str], since: str) -> None:
    assert scene.addresses(f"contacts?updatedsince={quote(since, safe='')}&{filtered}") == found


def test_only_what_changed_since_is_found(scene: Caller) -> None:
    scene.control("clock", {"advance": 3600})
    since = scene.control("clock", method="GET")["clock"].replace("+00:00", "Z")
    scene.put(1, lists=[2])
    assert scene.addresses(f"contacts?updatedsince={quote(since)}&listtype=active") == ["ada@example.com"]


@pytest.mark.parametrize(
    "query",
    [
        "updatedsince=2010-01-01",
        "updatedsince=2010-01-01&listtype=active&listid=1",
        "updatedsince=2010-01-01&listtype=Do%20Not%20Mail",
        "updatedsince=2010-01-01&listid=x",
        "updatedsince=yesterday&listid=1",
        "listtype=active",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(api: Caller, query: str) -> None:
    assert api.get(f"contacts?{query}").status_code == 400


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("1", ["ada@example.com"]),
        ("active", ["una@example.com", "ada@example.com"]),
        ("removed", ["rex@example.com"]),
        ("do-not-mail", ["dora@example.com"]),
    ],
)
def test_lists_have_members(scene: Caller, name: str, found: list[str]) -> None:
    assert scene.addresses(f"lists/{name}/members") == found


def test_a_member_is_an_address_and_a_name_under_the_contacts_id(scene: Caller) -> None:
    entry = scene.tree("lists/1/members").find(f"{ATOM}entry")
    assert entry is not None
    member = entry.find(f"{ATOM}content/{CTCT}ContactListMember")
    assert member is not None
    assert names(member) == ["EmailAddress", "Name"]
    assert member.findtext(f"{CTCT}Name") == "Byron, Ada"
    assert (
        entry.findtext(f"{ATOM}id") == member.get("id") == "http://api.constantcontact.com/ws/customers/acme/contacts/1"
    )
    assert entry.find(f"{ATOM}link").get("href") == "/ws/customers/acme/lists/1/members/1"  # type: ignore[union-attr]


def test_the_current_link_echoes_the_query(api: Caller) -> None:
    answer = api.get("contacts?email=a%40example.com&email=b%40example.com")
    assert 'contacts?email=a%40example.com&amp;email=b%40example.com" rel="current"' in answer.text
