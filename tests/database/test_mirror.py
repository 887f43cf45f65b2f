"""The mirror: any sequence of saves, deletes and address changes leaves exactly the rows that the site wants."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import CharField, F, QuerySet
from django.db.models.functions import Cast
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from django_ctct import acts, adapters, mirror, receivers
from django_ctct.models import Account, Contact, ContactList, DatabaseNow, FormerAddress, ListOptOut, Membership
from django_ctct.types import normalise_address
from tests.site.models import Friend, Member, Subscription, Supporter

pytestmark = pytest.mark.django_db

ADA, BOB = "ada@example.com", "bob@example.com"
CYD, DOT, EVE = "cyd@example.com", "dot@example.com", "eve@example.com"
ADDRESSES = [ADA, BOB, CYD, DOT, EVE, " Ada@Example.com ", ""]


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


#: What happens at a step. What leads to a rename, and to its end, happens more often.
ACTS = [
    *["saves"] * 6,
    *["moves"] * 4,
    *["gets_a_former_address", "is_found"] * 3,
    *["is_deleted", "is_changed_without_a_signal", "is_mirrored_with_all"],
    *["is_renamed_there", "opts_out", "opts_out_there", "comes_back_there", "leaves_a_list", "leaves_a_list_there"],
]
VALUES = st.fixed_dictionaries(
    {
        "email": st.sampled_from(ADDRESSES),
        "is_free": st.sampled_from([True, True, False]),
        "wants_newsletter": st.booleans(),
        "first_name": st.sampled_from(["", "Ada", "Bob"]),
    }
)
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 2), VALUES, st.sampled_from(["free", "newsletter"])),
    min_size=8,
    max_size=25,
)


class AnySequence(TestCase):
    """Runs every example in a transaction of its own."""

    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def test_any_sequence_of_changes_leaves_what_the_site_wants(self, steps: list[Any]) -> None:
        scene = Scene()
        with self.assertNoLogs("django_ctct", "ERROR"):
            for act, number, values, key in steps:
                getattr(scene, act)(number, values, key)
                scene.check()
        scene.check_at_rest()


class Scene:
    """Members who move between a few addresses, while workers and pulls find out about them.

    ``counted``: what each one has opted out of, and when, as far as it was ever seen to count for her.
    """

    def __init__(self) -> None:
        account = Account.objects.for_alias("default")
        for number, key in enumerate(("free", "newsletter")):
            ContactList.objects.create(account=account, remote_id=str(number), key=key)
        self.members = {number: Member.objects.create(email=email) for number, email in enumerate((ADA, BOB))}
        self.missed = False
        self.counted: dict[str, dict[str, datetime]] = {}
        self.is_found()

    def saves(self, number: int, values: dict[str, Any], *_: Any) -> None:
        member = self.members.setdefault(number, Member())
        for field, value in values.items():
            setattr(member, field, value)
        member.save()

    def moves(self, number: int, values: dict[str, Any], *_: Any) -> None:
        if number in self.members:
            self.saves(number, {"email": values["email"]})

    def gets_a_former_address(self, number: int, *_: Any) -> None:
        """Let the third member have the address that was given up last."""
        for one in FormerAddress.objects.order_by("-at", "-pk")[:1]:
            self.saves(2, {"email": one.email})

    def is_changed_without_a_signal(self, number: int, values: dict[str, Any], *_: Any) -> None:
        if number in self.members:
            Member.objects.filter(pk=self.members[number].pk).update(**values)
            self.members[number].refresh_from_db()
            self.missed = True

    def is_deleted(self, number: int, *_: Any) -> None:
        if number in self.members:
            self.members.pop(number).delete()

    def is_mirrored_with_all(self, *_: Any) -> None:
        list(mirror.mirror_all(adapter()))
        self.missed = False

    def is_found(self, *_: Any) -> None:
        """Let all rows be known over there, as workers or a pull do."""
        new = Contact.objects.filter(remote_id=None)
        new.update(remote_id=Cast("pk", CharField(max_length=64)), known_as=F("email"), status="active")

    def is_renamed_there(self, *_: Any) -> None:
        """Let all changed addresses arrive over there; those that nobody has any more are forgotten."""
        Contact.objects.filter(remote_id__isnull=False).update(known_as=F("email"))
        kept = list(Contact.objects.values_list("email", flat=True))
        FormerAddress.objects.filter(contact__remote_id__isnull=False).exclude(email__in=kept).delete()

    def opts_out(self, number: int, *_: Any) -> None:
        for row in self._rows(number):
            acts.opt_out(row)

    def opts_out_there(self, number: int, *_: Any) -> None:
        self._rows(number).exclude(remote_id=None).update(
            opted_out_at=DatabaseNow(), opted_out_source="remote", opt_out_wanted=False, status="do_not_mail"
        )

    def comes_back_there(self, *_: Any) -> None:
        Contact.objects.filter(status="do_not_mail").update(status="active")

    def leaves_a_list(self, number: int, values: dict[str, Any], key: str) -> None:
        """Leave by a link, which may be in an old mail."""
        if values["email"]:
            acts.leave_list(values["email"], key)

    def leaves_a_list_there(self, number: int, values: dict[str, Any], key: str) -> None:
        one = ContactList.objects.get(key=key)
        for row in self._rows(number).exclude(remote_id=None):
            left = {"at": DatabaseNow(), "source": "remote"}
            ListOptOut.objects.update_or_create(contact=row, list=one, defaults=left)

    def _rows(self, number: int) -> QuerySet[Contact]:
        email = self.members[number].email if number in self.members else ""
        return Contact.objects.filter(email=normalise_address(email))

    def check(self) -> None:
        """Hold the tables to what is true after every step."""
        if not self.missed:
            assert wishes() == expected()
        emails = list(Contact.objects.values_list("email", flat=True))
        assert len(emails) == len({normalise_address(one) for one in emails}), "no two rows have one address"
        assert not Membership.objects.filter(contact__claimed=False).exists(), "nobody claimed it, and it is wished on"
        rows = rows_of_members()
        assert {len(found) for found in rows.values()} <= {1}, "each member has one row"
        left = opt_outs()
        counts = {member: left[pk] for member, (pk,) in rows.items()}
        for member in self.counted.keys() & counts.keys():
            assert counts[member].keys() >= self.counted[member].keys(), "an opt-out does not get lost"
            assert all(counts[member][what] >= at for what, at in self.counted[member].items())
        self.counted = counts

    def check_at_rest(self) -> None:
        for _ in range(3):  # where some share an address, a profile may pass on, from one member to the next
            self.is_mirrored_with_all()
            self.check()
        before = dict(Contact.objects.values_list("pk", "desired_gen"))
        assert not any(list(mirror.mirror_all(adapter()))), "another pass finds nothing"
        assert dict(Contact.objects.values_list("pk", "desired_gen")) == before
        assert not Contact.objects.filter(desired_gen=0).exists()


def rows_of_members() -> dict[str, set[int]]:
    """Return the rows that the tables connect with each member, by her wishes or by her profile."""
    found: dict[str, set[int]] = defaultdict(set)
    for member, pk in Membership.objects.values_list("member_key", "contact"):
        found[member].add(pk)
    for member, pk in Contact.objects.exclude(profile_from="").values_list("profile_from", "pk"):
        found[member].add(pk)
    return found


def opt_outs() -> dict[int, dict[str, datetime]]:
    """Return what each row has opted out of, by the lists' keys, and everything as "all"."""
    found = {pk: {"all": at} if at else {} for pk, at in Contact.objects.values_list("pk", "opted_out_at")}
    for pk, key, at in ListOptOut.objects.filter(put_back_why="").values_list("contact", "list__key", "at"):
        found[pk][key] = at
    return found


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


def known(email: str = ADA) -> Contact:
    """Let a row be known over there, as a worker or a pull does."""
    Contact.objects.filter(email=email).update(remote_id="7", known_as=email, status="active")
    return Contact.objects.get(email=email)


def former() -> set[tuple[str, str]]:
    return set(FormerAddress.objects.values_list("contact__email", "email"))


def test_a_changed_address_keeps_a_row_that_is_hers_alone() -> None:
    member = Member.objects.create(email=ADA)
    before = known()
    member.email = BOB
    member.save()
    after = Contact.objects.get()
    assert (after.pk, after.email, after.priority) == (before.pk, BOB, 1)
    assert after.desired_gen == before.desired_gen + 1
    assert wishes() == {(BOB, "free", f"site.member:{member.pk}")}
    assert former() == {(BOB, ADA)}


def test_a_changed_address_of_a_member_on_no_list_is_hers_all_the_same() -> None:
    member = Member.objects.create(email=ADA, is_free=False)
    known()
    member.email = BOB
    member.save()
    assert Contact.objects.get().email == BOB


def test_there_and_back_leaves_the_address_in_between_to_be_looked_for() -> None:
    member = Member.objects.create(email=ADA)
    known()
    for email in (BOB, ADA):
        member.email = email
        member.save()
    assert Contact.objects.get().email == ADA
    assert former() == {(ADA, BOB)}


@pytest.mark.parametrize(
    "why", ["shared", "opted out", "the other has a row", "another's profile", "nobody looked for it yet"]
)
def test_a_row_that_is_not_hers_alone_keeps_its_address(why: str) -> None:
    other = Member.objects.create(email=ADA) if why == "another's profile" else None
    member = Member.objects.create(email=ADA)
    if other is not None:
        other.is_free = False
        other.save()
    elif why == "shared":
        Member.objects.create(email=ADA, is_free=False, is_sustainer=True)
    elif why == "opted out":
        acts.opt_out(Contact.objects.get())
    elif why == "the other has a row":
        Contact.objects.create(account=Account.objects.get(), email=BOB)
    if why != "nobody looked for it yet":
        known()
        Contact.objects.filter(opted_out_at__isnull=False).update(status="do_not_mail")
    member.email = BOB
    member.save()
    old, new = Contact.objects.get(email=ADA), Contact.objects.get(email=BOB)
    assert old.priority <= 1
    assert (BOB, "free", f"site.member:{member.pk}") in wishes()
    assert (old.opted_out_at, old.opted_out_source) == (new.opted_out_at, new.opted_out_source)
    assert former() == {(BOB, ADA)}


def test_opt_outs_follow_in_the_transaction_of_the_change_and_consents_do_not() -> None:
    ContactList.objects.create(account=Account.objects.for_alias("default"), remote_id="1", key="free")
    member = Member.objects.create(email=ADA)
    Member.objects.create(email=ADA, is_sustainer=True)
    acts.leave_list(ADA, "free")
    acts.resubscribe(Contact.objects.get(), ["free"], method="preference page")
    member.email = BOB
    with transaction.atomic():
        member.save()
        left = ListOptOut.objects.get(contact__email=BOB)
    assert left.at == ListOptOut.objects.get(contact__email=ADA).at
    assert not Contact.objects.get(email=BOB).consents.exists()


def test_what_staff_have_put_back_does_not_follow() -> None:
    one = ContactList.objects.create(account=Account.objects.for_alias("default"), remote_id="1", key="free")
    member = Member.objects.create(email=ADA)
    Member.objects.create(email=ADA, is_sustainer=True)
    left = ListOptOut.objects.create(contact=Contact.objects.get(), list=one, at=DatabaseNow(), source="remote")
    left.refresh_from_db()
    acts.put_back(left, by="Grace", why="a slip of the owner's")
    member.email = BOB
    member.save()
    assert not ListOptOut.objects.filter(contact__email=BOB).exists()


def test_who_takes_an_address_that_is_being_given_up_gets_its_row() -> None:
    member = Member.objects.create(email=ADA, first_name="Ada")
    row = known()
    member.email = BOB
    member.save()
    late = Member.objects.create(email=ADA, first_name="Grace")
    assert Contact.objects.get(email=ADA).pk == row.pk, "what is known over there is known of this address"
    assert wishes() == {(BOB, "free", f"site.member:{member.pk}"), (ADA, "free", f"site.member:{late.pk}")}
    assert (Contact.objects.get(email=ADA).first_name, Contact.objects.get(email=BOB).first_name) == ("Grace", "Ada")


def test_a_change_that_is_rolled_back_leaves_the_row_as_it_was() -> None:
    member = Member.objects.create(email=ADA)
    known()
    with transaction.atomic():
        member.email = BOB
        member.save()
        transaction.set_rollback(True)
    assert Contact.objects.get().email == ADA
    assert not FormerAddress.objects.exists()


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


@pytest.mark.django_db
def test_an_address_that_somebody_takes_meanwhile_is_not_taken_over() -> None:
    member = Member.objects.create(email="ada@example.com")
    ada = Contact.objects.get()
    Contact.objects.update(remote_id="7", known_as=ada.email)
    taken: list[Contact] = []

    def meanwhile(execute: Any, sql: str, *rest: Any) -> Any:
        head = sql.partition("WHERE")[0]
        if not taken and head.startswith("UPDATE") and "email" in head and "contact" in head:
            taken.append(Contact.objects.create(account=ada.account, email="new@example.com"))
        return execute(sql, *rest)

    member.email = "new@example.com"
    with connection.execute_wrapper(meanwhile):
        member.save()
    assert {one.email for one in Contact.objects.all()} == {"ada@example.com", "new@example.com"}
    assert Contact.objects.get(email="ada@example.com").remote_id == "7"
    assert set(Membership.objects.values_list("contact__email", flat=True)) == {"new@example.com"}


@pytest.mark.django_db
def test_a_row_that_is_given_another_address_meanwhile_is_not_joined() -> None:
    account = Account.objects.for_alias("default")
    row = Contact.objects.create(account=account, email="ada@example.com")
    moved: list[int] = []

    def meanwhile(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if not moved and sql.startswith("SELECT") and {row.pk, "ada@example.com"} <= set(params or ()):
            moved.append(Contact.objects.filter(pk=row.pk).update(email="eva@example.com"))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(meanwhile):
        Member.objects.create(email="ada@example.com")
    assert moved == [1]
    assert set(Membership.objects.values_list("contact__email", flat=True)) == {"ada@example.com"}
    assert Contact.objects.get(pk=row.pk).claimed is False
