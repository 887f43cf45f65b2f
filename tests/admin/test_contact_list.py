"""The list of contacts: what each line says, the filters, the search, and its cost."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from . import builders
from .pages import url

pytestmark = pytest.mark.django_db


def shown(client: Client, **query: object) -> set[str]:
    answer = client.get(url("contact_changelist"), query)
    assert answer.status_code == 200
    return {one.email for one in answer.context["cl"].result_list}


def line(client: Client, email: str) -> str:
    """Return the HTML of one contact's line."""
    html = client.get(url("contact_changelist"), {"q": email}).content.decode()
    return html.split("<tbody>")[1].split("</tbody>")[0]


def test_every_state_has_a_line_that_says_it_in_words(chief: Client) -> None:
    builders.scene()
    html = chief.get(url("contact_changelist")).content.decode()
    for words in ["In sync", "Pending", "Failed", "Refused", "Not the site&#x27;s", "Active", "Do Not Mail", "Removed"]:
        assert words in html


@pytest.mark.parametrize(
    ("email", "words"),
    [
        ("grace@example.com", "for 3\xa0minutes"),
        ("retry@example.com", "The server cannot answer now"),
        ("busy@example.com", "under way now"),
        ("verify@example.com", "sent; checked again at"),
        ("dona@example.com", "The list “donors” is not bound"),
        ("not-an-address", "The address is not an e-mail address"),
        ("dora@example.com", "has opted out: Do Not Mail"),
        ("leo@example.com", "has left a list"),
        ("mia@example.com", "a list is gone at Constant Contact"),
        ("stranger@example.com", "no member has this address"),
        ("new@example.com", "not seen there"),
    ],
)
def test_a_line_says_why(chief: Client, email: str, words: str) -> None:
    builders.scene()
    assert words in line(chief, email)


def test_no_line_shows_method_path_or_request_number(chief: Client) -> None:
    builders.scene()
    html = chief.get(url("contact_changelist")).content.decode()
    assert "/contacts/{id}" not in html
    assert "7f3a" not in html


def test_chips_compare_wanted_with_present(chief: Client) -> None:
    builders.scene()
    html = line(chief, "grace@example.com")
    assert '<span aria-hidden="true">+</span> Sustainers' in html
    assert '<span aria-hidden="true">−</span> Free members' in html
    assert "Board" not in html


@pytest.mark.parametrize(
    ("email", "sign", "name"),
    [
        ("ada.lovelace@example.com", "✓", "Sustainers"),
        ("dona@example.com", "?", "donors"),
        ("mia@example.com", "?", "Summer events"),
        ("dora@example.com", "⊘", "Newsletter"),
        ("leo@example.com", "⊘", "Newsletter"),
        ("noor@example.com", "·", "Newsletter"),
        ("stranger@example.com", "·", "Newsletter"),
    ],
)
def test_each_chip_has_its_sign(chief: Client, email: str, sign: str, name: str) -> None:
    builders.scene()
    assert f'<span aria-hidden="true">{sign}</span> {name}' in line(chief, email)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"state": "failed"}, {"unbound", "wrong address", "rejected", "failing", "renamed"}),
        ({"state": "refused"}, {"opted out", "left a list", "taken off", "list gone"}),
        ({"state": "foreign"}, {"stranger"}),
        ({"state": "pending"}, {"pending", "new", "retry", "under way", "verify", "opting out"}),
        (
            {"status": "active"},
            {"in sync", "kept", "stranger", "script", "long"}
            | {"pending", "retry", "under way", "verify", "opting out"}
            | {"unbound", "rejected", "failing", "renamed", "left a list", "list gone"},
        ),
        ({"status": "unconfirmed"}, {"unconfirmed"}),
        ({"status": "removed"}, {"on no list", "taken off"}),
        ({"status": "do_not_mail"}, {"opted out", "opted out, not wanted"}),
        ({"status": "absent"}, {"new", "wrong address"}),
        ({"why": "unbound"}, {"unbound"}),
        ({"why": "invalid"}, {"wrong address"}),
        ({"why": "rejected"}, {"rejected"}),
        ({"why": "review"}, {"renamed"}),
        ({"why": "missing"}, {"list gone"}),
        ({"why": "opted_out"}, {"opted out"}),
        ({"why": "left_list"}, {"left a list", "taken off"}),
        ({"why": "staff"}, {"taken off"}),
        ({"wanted": "donors"}, {"unbound"}),
        ({"wanted": "events"}, {"list gone"}),
        ({"queue": "leased"}, {"under way"}),
        ({"queue": "verify"}, {"verify"}),
        ({"queue": "opt_out"}, {"opting out"}),
        ({"queue": "waiting"}, {"retry", "failing", "verify"}),
        ({"queue": "due"}, {"pending", "new", "under way", "opting out"}),
        ({"queue": "nonsense"}, set()),
        ({"present": "nonsense"}, set()),
        ({"q": "Lovelace"}, {"in sync"}),
        ({"q": "grace@"}, {"pending"}),
        ({"q": "山田"}, {"long"}),
    ],
)
def test_filters_and_search_find(chief: Client, query: dict[str, str], names: set[str]) -> None:
    people = builders.scene()
    assert shown(chief, **query) == {people[name].email for name in names}


@pytest.mark.parametrize("name", ["state", "status", "why", "queue", "review"])
def test_every_choice_of_a_filter_finds_somebody_and_none_finds_all(chief: Client, name: str) -> None:
    builders.waits_for_staff()
    everybody = shown(chief)
    specs = chief.get(url("contact_changelist")).context["cl"].filter_specs
    (spec,) = [one for one in specs if getattr(one, "parameter_name", "") == name]
    for value, _label in spec.lookup_choices:
        assert set() < shown(chief, **{name: value}) < everybody, value


def test_the_present_filter_knows_lists_that_are_not_managed(chief: Client) -> None:
    people = builders.scene()
    board = builders.lists()["board"]
    assert shown(chief, present=board.pk) == {people["in sync"].email, people["pending"].email}


def test_two_members_with_one_address_make_one_line(chief: Client) -> None:
    builders.lists()
    one = builders.contact("shared@example.com", ["free"], ["free"])
    one.memberships.create(key="free", member_key="site.member:4711")
    assert len(chief.get(url("contact_changelist"), {"wanted": "free"}).context["cl"].result_list) == 1


def test_the_number_of_queries_does_not_grow_with_the_contacts(chief: Client) -> None:
    builders.lists()

    def queries(count: int) -> int:
        for number in range(count):
            address = f"{count}-{number}@example.com"
            one = builders.contact(address, ["free", "donors"], ["free", "board"], hold="unbound")
            builders.left(one, builders.lists()["newsletter"])
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert chief.get(url("contact_changelist")).status_code == 200
        return len(captured)

    chief.get(url("contact_changelist"))
    assert queries(5) == queries(44)


def test_facets_can_be_counted(chief: Client) -> None:
    builders.scene()
    assert b"Failed (5)" in chief.get(url("contact_changelist"), {"_facets": "True"}).content


def test_remote_text_is_escaped(chief: Client) -> None:
    builders.lists(free=builders.SCRIPT)
    builders.contact("x@example.com", ["free", "sustainers"], ["free"], first_name=builders.SCRIPT)
    html = chief.get(url("contact_changelist")).content.decode()
    assert builders.SCRIPT not in html
    assert "&lt;script&gt;document" in html
