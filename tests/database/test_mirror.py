"""The mirror: any sequence of saves, deletes and address changes leaves exactly the rows that the site wants."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from django_ctct import adapters, mirror, receivers
from django_ctct.models import Contact, Membership
from tests.site.models import Friend, Member, Subscription, Supporter

pytestmark = pytest.mark.django_db

ADA, BOB = "ada@example.com", "bob@example.com"
ADDRESSES = [ADA, BOB, " Ada@Example.com ", ""]


def adapter() -> adapters.MemberAdapter:
    return adapters.all_adapters()[0]


def wishes() -> set[tuple[str, str, str]]:
    return set(Membership.objects.values_list("contact__email", "key", "member_key"))


def expected() -> set[tuple[str, str, str]]:
    """What the site wants, said without the mirror."""
    found = set()
    for member in Member.objects.all():
        email = member.email.strip().lower()
        keys = {"free": member.is_free, "sustainers": member.is_sustainer, "newsletter": member.wants_newsletter}
        found |= {(email, key, f"site.member:{member.pk}") for key, wanted in keys.items() if wanted and email}
    return found


step = st.tuples(
    st.sampled_from(["save", "save", "save", "delete", "bulk", "mirror_all"]),
    st.integers(0, 2),
    st.sampled_from(ADDRESSES),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "Ada", "Bob"]),
)


class AnySequence(TestCase):
    """Runs every example in a transaction of its own."""

    @hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(step, max_size=12))
    def test_any_sequence_of_changes_leaves_what_the_site_wants(self, steps: list[Any]) -> None:
        members: dict[int, Member] = {}
        missed = False
        for act, number, email, free, letter, name in steps:
            missed = _do(act, members, number, {"email": email, "is_free": free, "wants_newsletter": letter}, name) or (
                missed and act != "mirror_all"
            )
        if missed:
            list(mirror.mirror_all(adapter()))
        assert wishes() == expected()
        list(mirror.mirror_all(adapter()))  # where two share an address, a profile may pass from one to the other
        before = dict(Contact.objects.values_list("pk", "desired_gen"))
        assert not any(list(mirror.mirror_all(adapter()))), "a second pass finds nothing"
        assert dict(Contact.objects.values_list("pk", "desired_gen")) == before
        assert not Contact.objects.filter(desired_gen=0).exists()


def _do(act: str, members: dict[int, Member], number: int, values: dict[str, Any], name: str) -> bool:
    """Do one step; say whether it was one that sends no signal."""
    if act == "mirror_all":
        list(mirror.mirror_all(adapter()))
    elif act == "bulk":
        Member.objects.filter(pk__in=[one.pk for one in members.values()]).update(**values)
        return True
    elif act == "delete" and number in members:
        members.pop(number).delete()
    elif act == "save":
        member = members.setdefault(number, Member())
        for field, value in {**values, "first_name": name}.items():
            setattr(member, field, value)
        member.save()
    return False


def test_a_change_makes_the_contact_due_and_gives_the_wish_a_new_number() -> None:
    member = Member.objects.create(email=ADA)
    first = Contact.objects.get()
    assert (first.desired_gen, first.applied_gen, first.priority) == (1, 0, 5)
    assert first.due_at is not None
    member.is_free, member.is_sustainer = False, True
    member.save()
    second = Contact.objects.get()
    assert (second.desired_gen, second.priority) == (2, 1), "leaving a list is more urgent than joining one"
    assert second.wished_at == first.wished_at, "pending since the first change that is not confirmed"


def test_a_changed_address_withdraws_the_old_one_and_wishes_the_new_one() -> None:
    member = Member.objects.create(email=ADA)
    member.email = BOB
    member.save()
    assert wishes() == {(BOB, "free", f"site.member:{member.pk}")}
    assert Contact.objects.get(email=ADA).priority == 1


def test_two_members_with_one_address_are_wished_by_both() -> None:
    one = Member.objects.create(email=ADA)
    two = Member.objects.create(email=ADA, wants_newsletter=True)
    one.delete()
    assert wishes() == {(ADA, "free", f"site.member:{two.pk}"), (ADA, "newsletter", f"site.member:{two.pk}")}


def test_the_first_members_profile_stands_and_the_second_takes_over_when_the_first_leaves() -> None:
    one = Member.objects.create(email=ADA, first_name="Ada")
    two = Member.objects.create(email=ADA, first_name="Augusta")
    assert Contact.objects.get().first_name == "Ada"
    one.email = BOB
    one.save()
    list(mirror.mirror_all(adapter()))
    assert Contact.objects.get(email=ADA).first_name == "Augusta"
    two.delete()


def test_a_save_from_a_stale_instance_does_not_bring_back_an_old_wish() -> None:
    member = Member.objects.create(email=ADA)
    stale = Member.objects.get(pk=member.pk)
    member.is_free, member.is_sustainer = False, True
    member.save()
    stale.visits = 1
    stale.save(update_fields=["visits"])
    assert wishes() == {(ADA, "sustainers", f"site.member:{member.pk}")}


def test_a_rule_that_reads_another_table_is_watched() -> None:
    member = Member.objects.create(email=ADA)
    subscription = Subscription.objects.create(member=member)
    assert (ADA, "newsletter", f"site.member:{member.pk}") in wishes()
    subscription.delete()
    assert (ADA, "newsletter", f"site.member:{member.pk}") not in wishes()


def test_proxies_and_children_of_the_member_model_are_members_too() -> None:
    Friend.objects.create(email=ADA)
    Supporter.objects.create(email=BOB)
    assert {one[0] for one in wishes()} == {ADA, BOB}


def test_a_rolled_back_save_leaves_no_wish() -> None:
    with transaction.atomic():
        Member.objects.create(email=ADA)
        transaction.set_rollback(True)
    assert not Contact.objects.exists()


def test_fixtures_are_left_to_mirror_all() -> None:
    member = Member(pk=7, email=ADA)
    member.save_base(raw=True)
    assert not Contact.objects.exists()
    assert [one.member_key for one in mirror.mirror_all(adapter()) if one] == ["site.member:7"]


def test_mirror_all_takes_two_reads_a_chunk_where_nothing_differs() -> None:
    for number in range(30):
        Member.objects.create(email=f"m{number}@example.com")
    with CaptureQueriesContext(connection) as queries:
        assert not any(list(mirror.mirror_all(adapter(), chunk=10)))
    ours = [one for one in queries.captured_queries if "django_ctct_" in one["sql"]]
    assert len(ours) == 3 * 2 + 1


def test_an_address_too_long_to_keep_is_named_by_its_member() -> None:
    member = Member.objects.create(email="a" * 300 + "@example.com")
    assert not Contact.objects.exists()
    assert [one.member_key for one in mirror.mirror_all(adapter()) if one.address_too_long] == [
        f"site.member:{member.pk}"
    ]


def test_an_adapter_that_fails_does_not_spoil_the_save(caplog: pytest.LogCaptureFixture) -> None:
    with transaction.atomic():
        member = Member.objects.create(email=ADA, first_name="explode")
    assert Member.objects.filter(pk=member.pk).exists()
    assert "was not mirrored (ZeroDivisionError at " in caplog.text
    assert ADA not in caplog.text


def test_a_member_who_vanished_without_a_signal_is_forgotten_by_mirror_all() -> None:
    member = Member.objects.create(email=ADA)
    Member.objects.filter(pk=member.pk)._raw_delete("default")
    assert [one.member_key for one in mirror.mirror_all(adapter()) if one] == [f"site.member:{member.pk}"]
    assert wishes() == set()


def test_a_member_who_was_deleted_meanwhile_is_not_mirrored_from_memory() -> None:
    member = Member.objects.create(email=ADA)
    Member.objects.filter(pk=member.pk)._raw_delete("default")
    member.wants_newsletter = True
    mirror.mirror(adapter(), member)
    assert wishes() == set()


def test_watched_fixtures_and_watched_objects_that_lead_nowhere_are_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    member = Member.objects.create(email=ADA)
    one = Subscription(pk=5, member=member)
    one.save_base(raw=True)
    assert (ADA, "newsletter", f"site.member:{member.pk}") not in wishes()
    receivers.watched_changed(adapter(), "nothing.here", instance=one)
    assert "was not mirrored (AttributeError" in caplog.text


def test_one_member_whose_rule_fails_does_not_keep_mirror_all_from_the_others() -> None:
    Member.objects.bulk_create([Member(email=ADA, first_name="explode"), Member(email=BOB)])
    outcomes = list(mirror.mirror_all(adapter()))
    assert [one.error for one in outcomes] == ["ZeroDivisionError", ""]
    assert {one[0] for one in wishes()} == {BOB}


def test_the_profile_of_a_member_on_no_list_is_given_up_when_she_is_deleted() -> None:
    lapsed = Member.objects.create(email=ADA, is_free=False, first_name="Ann")
    lapsed.delete()
    Member.objects.create(email=ADA, first_name="Augusta")
    assert Contact.objects.get().first_name == "Augusta"


def test_who_joins_while_mirror_all_runs_is_not_taken_for_gone() -> None:
    Member.objects.create(email=ADA)
    running = mirror.mirror_all(adapter())
    next(running)
    late = Member.objects.create(email=BOB)
    list(running)
    assert (BOB, "free", f"site.member:{late.pk}") in wishes()


def test_two_watched_changes_are_judged_from_the_database_and_not_from_memory() -> None:
    member = Member.objects.prefetch_related("subscriptions").get(pk=Member.objects.create(email=ADA).pk)
    assert not member.reads_the_letter()
    Subscription.objects.create(member=member)
    assert (ADA, "newsletter", f"site.member:{member.pk}") in wishes()


def test_a_rule_that_fails_on_the_fresh_row_does_not_keep_mirror_all_from_the_others() -> None:
    Member.objects.bulk_create([Member(email=ADA), Member(email=BOB)])
    running = mirror.mirror_all(adapter())
    next(running)
    Member.objects.filter(email=BOB).update(first_name="explode")
    assert [one.error for one in running] == ["ZeroDivisionError"]
