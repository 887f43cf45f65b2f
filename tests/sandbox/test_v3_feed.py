"""GET /v3/contacts: filters, pages and the cursor (v3 sheet §2.2)."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.sandbox.v3_caller import NOBODY, V3


@pytest.fixture
def crowd(v3: V3) -> V3:
    """Contacts of every state; each a day after the one before."""
    news = v3.list_id()
    v3.made("active@example.com", list_memberships=[news])
    v3.wait(86400)
    v3.made("explicit@example.com", permission="explicit", list_memberships=[news, v3.list_id("Sustainers")])
    v3.wait(86400)
    v3.made("gone@example.com")
    v3.act("unsubscribe", "gone@example.com")
    v3.wait(86400)
    v3.send("DELETE", f"/contacts/{v3.made('deleted@example.com')}")
    v3.switch(confirmed_optin=True)
    v3.made("waiting@example.com")
    return v3


def names(v3: V3, **params: object) -> list[str]:
    return [each.partition("@")[0] for each in v3.addresses(**params)]


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("all", ["active", "explicit", "gone", "deleted", "waiting"]),
        ("active", ["active", "explicit"]),
        ("unsubscribed", ["gone"]),
        ("deleted", ["deleted"]),
        ("pending_confirmation", ["waiting"]),
        ("deleted,unsubscribed", ["gone", "deleted"]),
        ("temp_hold,not_set", []),
    ],
)
def test_the_status_filter(crowd: V3, status: str, found: list[str]) -> None:
    assert names(crowd, status=status) == found


def test_an_address_is_found_whatever_its_case_and_only_with_its_status(crowd: V3) -> None:
    assert names(crowd, email="ACTIVE@example.com", status="all") == ["active"]
    assert names(crowd, email="deleted@example.com") == []
    assert names(crowd, email="deleted@example.com", status="all") == ["deleted"]
    assert names(crowd, email="nobody@example.com", status="all") == []


def test_a_plus_in_an_address_must_be_encoded(v3: V3) -> None:
    v3.made("ada+news@example.com")
    assert v3.addresses(email="ada+news@example.com") == ["ada+news@example.com"]
    assert v3.get("/contacts?email=ada+news@example.com").json()["contacts"] == []


def test_the_list_filter(crowd: V3) -> None:
    news, sustainers = crowd.list_id(), crowd.list_id("Sustainers")
    assert names(crowd, lists=news) == ["active", "explicit"]
    assert names(crowd, lists=f"{news},{sustainers}") == ["active", "explicit"]
    assert names(crowd, lists=NOBODY) == []


def test_the_times_filter(crowd: V3) -> None:
    rows = {each["email_address"]["address"]: each for each in crowd.read("/contacts", status="all")["contacts"]}
    explicit, gone = rows["explicit@example.com"], rows["gone@example.com"]
    assert names(crowd, status="all", updated_after=gone["updated_at"]) == ["gone", "deleted", "waiting"]
    assert names(crowd, status="all", created_after=explicit["created_at"], created_before=gone["created_at"]) == [
        "explicit"
    ]
    assert names(crowd, status="all", updated_before=explicit["created_at"]) == ["active"]
    assert names(crowd, status="all", optout_after="2020-01-01") == ["gone"]
    assert names(crowd, status="all", optout_before="2020-01-01T00:00:00-05:00") == []


def test_the_bounds_themselves_belong_to_the_answer(v3: V3) -> None:
    v3.made()
    account = v3.running.account
    sharp = account.contact(1).updated.replace(microsecond=0)
    account.put(replace(account.contact(1), updated=sharp, inserted=sharp))
    bound = f"{sharp:%Y-%m-%dT%H:%M:%SZ}"
    for name in ("updated_after", "updated_before", "created_after", "created_before"):
        assert len(v3.addresses(**{name: bound})) == 1


@pytest.mark.parametrize(
    "params",
    [
        {"status": "happy"},
        {"status": "active,"},
        {"limit": 0},
        {"limit": 501},
        {"limit": "many"},
        {"limit": "٣"},
        {"lists": "news"},
        {"lists": ",".join([NOBODY] * 26)},
        {"updated_after": "yesterday"},
        {"updated_after": "0001-01-01T00:00:00+23:00"},
        {"include": "friends"},
        {"include_count": "maybe"},
        {"tags": "vip"},
        {"sms_status": "on"},
    ],
)
def test_a_wrong_filter_is_a_400_that_names_it(v3: V3, params: dict[str, object]) -> None:
    answer = v3.get("/contacts", **params)
    assert answer.status_code == 400
    assert next(iter(params)) in answer.text


def test_an_unknown_filter_is_ignored(v3: V3) -> None:
    v3.made()
    assert v3.addresses(colour="red") == ["ada@example.com"]


def test_too_many_parameters_are_a_400(v3: V3) -> None:
    assert v3.get("/contacts?" + "a=1&" * 200).status_code == 400


def test_pages_follow_a_path_only_link_that_carries_everything(v3: V3) -> None:
    for number in range(5):
        v3.made(f"p{number}@example.com", list_memberships=[v3.list_id()])
    v3.made("other@example.com")
    first = v3.read("/contacts", lists=v3.list_id(), limit=2, include="list_memberships", include_count="true")
    assert (len(first["contacts"]), first["contacts_count"]) == (2, 5)
    seen, page = [], first
    while page["_links"]:
        href = page["_links"]["next"]["href"]
        assert href.startswith("/v3/contacts?cursor=")
        seen += page["contacts"]
        page = v3.session.get(v3.running.url + href, timeout=5).json()
    seen += page["contacts"]
    assert [each["email_address"]["address"] for each in seen] == [f"p{number}@example.com" for number in range(5)]
    assert all(each["list_memberships"] for each in seen)
    assert page["contacts_count"] == 5


def test_a_full_last_page_leads_nowhere(v3: V3) -> None:
    v3.made()
    assert v3.read("/contacts", limit=1)["_links"] is None


def test_fifty_come_unless_told_otherwise(v3: V3) -> None:
    for number in range(51):
        v3.made(f"p{number}@example.com")
    assert [len(v3.addresses()), len(v3.addresses(limit=500))] == [50, 51]


def cursor_of(v3: V3, path: str = "/contacts") -> str:
    href = v3.read(path, limit=1)["_links"]["next"]["href"]
    return str(urlsplit(href).query.removeprefix("cursor="))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%FF",
        "====",
        encoded("limit=1"),
        encoded("limit=1&next=2"),
        encoded("of=contacts&next=x&issued=1"),
        encoded("of=contacts&next=-1&issued=1"),
        encoded("of=contacts&next=1&issued=x"),
        encoded("of=lists&next=1&issued=1"),
        encoded("of=contacts&next=1&issued=1&limit=9999"),
        encoded("of=contacts&next=1&issued=1&status=x"),
        base64.b64encode(b"\xff\xfe").decode(),
        encoded("&" * 300),
    ],
)
def test_a_bent_cursor_is_a_400(v3: V3, cursor: str) -> None:
    assert v3.get("/contacts", cursor=cursor).status_code == 400


def test_a_cursor_of_lists_does_not_lead_through_contacts(v3: V3) -> None:
    assert v3.send("GET", f"/contacts?cursor={cursor_of(v3, '/contact_lists')}").status_code == 400


def test_a_cursor_stands_alone(v3: V3) -> None:
    v3.made()
    v3.made("bo@example.com")
    cursor = cursor_of(v3)
    assert v3.send("GET", f"/contacts?cursor={cursor}").status_code == 200
    assert v3.send("GET", f"/contacts?cursor={cursor}&limit=1").status_code == 400


def test_segments_are_not_played(v3: V3) -> None:
    assert v3.get("/contacts", segment_id=1).status_code == 404
