"""How many requests, queries and writes a change costs: the figures that the README promises."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_ctct import acts
from tests.account import UNMANAGED, Sandbox, by_wire, contact, run_due
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA = "ada@example.com"
OURS = ("django_ctct_",)


def _ours(queries: CaptureQueriesContext) -> list[str]:
    return [one["sql"] for one in queries.captured_queries if any(table in one["sql"] for table in OURS)]


def _written(queries: CaptureQueriesContext) -> list[str]:
    return [sql for sql in _ours(queries) if not sql.lstrip().upper().startswith("SELECT")]


def test_a_change_of_a_known_contact_is_one_get_and_one_put(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    connected.forget()
    member.is_free, member.is_sustainer = False, True
    member.save()
    run_due()
    assert connected.methods() == ["GET", "PUT"]


def test_when_nothing_differs_there_is_one_get_and_no_write(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.forget()
    acts.sync_now([contact(ADA)])
    run_due()
    assert connected.methods() == ["GET"]


def test_a_contact_never_seen_costs_three_requests_when_she_exists_there(connected: Sandbox) -> None:
    connected.add(ADA, UNMANAGED)
    Member.objects.create(email=ADA)
    run_due()
    assert connected.methods() == by_wire(["GET", "GET", "PUT"], ["GET", "PUT"]), "v3's search tells the lists"


def test_a_contact_never_seen_costs_two_requests_when_she_is_new_there(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    assert connected.methods() == ["GET", "POST"]


def test_a_hundred_edits_of_one_member_are_one_get_and_one_put(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    connected.forget()
    for number in range(100):
        member.is_free, member.is_sustainer = bool(number % 2), not number % 2
        member.first_name = f"Ada {number}"
        member.save()
    run_due()
    assert connected.methods() == ["GET", "PUT"]
    assert connected.lists_of(ADA) == {"Free members"}


@pytest.mark.django_db(transaction=True)
def test_saving_a_member_whose_wish_is_as_before_writes_nothing_of_ours() -> None:
    member = Member.objects.create(email=ADA)
    member.visits += 1
    with CaptureQueriesContext(connection) as queries:
        member.save()
    assert _written(queries) == []
    assert len(_ours(queries)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_member_with_no_wish_at_all_writes_nothing_on_the_second_save() -> None:
    member = Member.objects.create(email=ADA, is_free=False)
    with CaptureQueriesContext(connection) as queries:
        member.save()
    assert _written(queries) == []


@pytest.mark.django_db(transaction=True)
def test_a_changed_wish_costs_a_few_statements() -> None:
    member = Member.objects.create(email=ADA)
    member.is_free, member.is_sustainer = False, True
    with CaptureQueriesContext(connection) as queries:
        member.save()
    assert len(_written(queries)) <= 4
    assert len(_ours(queries)) <= 8
