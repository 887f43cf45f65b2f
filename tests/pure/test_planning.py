"""The planner, by its properties over any values, and by the cases that the properties do not name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from django_ctct.planning import (
    Base,
    Consented,
    Create,
    Desired,
    ListPolicy,
    Nothing,
    OptOut,
    OptOuts,
    Plan,
    Reason,
    Refuse,
    Unclear,
    Update,
    additions,
    departures,
    parts,
    plan,
)
from django_ctct.types import (
    ContactStatus,
    OptInSource,
    RemoteAddition,
    RemoteContact,
    RemoteRemoval,
    Subscription,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
IDS = ("1", "2", "3", "4", "5")
OURS = frozenset({"1", "2", "3"})


def at(day: int) -> datetime:
    return T0 + timedelta(days=day)


def policies(**special: ListPolicy) -> dict[str, ListPolicy]:
    return {one: special.get(f"list{one}", ListPolicy()) for one in OURS}


def remote(*lists: str, status: ContactStatus | None = None, **more: Any) -> RemoteContact:
    state = status or (ContactStatus.ACTIVE if lists else ContactStatus.REMOVED)
    subscriptions = {one: Subscription(OptInSource.SITE, at(0)) for one in lists}
    return RemoteContact("7", "ada@example.com", state, subscriptions, **more)


def decide(
    wanted: set[str],
    existing: RemoteContact | None,
    *,
    base: Base | None = None,
    opt_outs: OptOuts | None = None,
    consents: dict[str, Consented] | None = None,
    managed: dict[str, ListPolicy] | None = None,
    fields: dict[str, str] | None = None,
    opt_out: bool = False,
) -> Plan:
    return plan(
        Desired(frozenset(wanted), fields or {}, opt_out),
        base or Base(),
        existing,
        opt_outs or OptOuts(),
        consents or {},
        managed if managed is not None else policies(),
    )


lists = st.frozensets(st.sampled_from(IDS))
days = st.integers(0, 9)
policy = st.builds(ListPolicy, st.sampled_from(RemoteRemoval), st.sampled_from(RemoteAddition))
managed_lists = st.fixed_dictionaries(dict.fromkeys(sorted(OURS), policy))
subscription = st.builds(Subscription, st.sampled_from([None, *OptInSource]), st.one_of(st.none(), days.map(at)))
unclear = st.builds(Unclear, lists, lists, st.one_of(st.none(), days.map(at)))
fields = st.dictionaries(st.sampled_from(["first_name", "custom:1"]), st.sampled_from(["", "a", "b"]))


@st.composite
def remotes(draw: st.DrawFn) -> RemoteContact | None:
    if draw(st.booleans()) and draw(st.booleans()):
        return None
    on = draw(st.dictionaries(st.sampled_from(IDS), subscription))
    free = ContactStatus.REMOVED if not on else ContactStatus.ACTIVE
    status = draw(st.sampled_from([free, free, ContactStatus.UNCONFIRMED, ContactStatus.DO_NOT_MAIL]))
    return RemoteContact("7", "ada@example.com", status, on, draw(fields))


@st.composite
def situations(draw: st.DrawFn) -> dict[str, Any]:
    existing = draw(remotes())
    everything = draw(st.one_of(st.none(), days.map(at)))
    if existing is not None and existing.status is ContactStatus.DO_NOT_MAIL:
        everything = everything or at(draw(days))  # absorb() has recorded it before a plan is made
    return {
        "desired": Desired(draw(lists) & OURS, draw(fields), draw(st.integers(0, 9)) == 0),
        "base": Base(draw(lists), tuple(draw(st.lists(unclear, max_size=2))), draw(lists)),
        "existing": existing,
        "opt_outs": OptOuts(everything, draw(st.dictionaries(st.sampled_from(sorted(OURS)), days.map(at)))),
        "consents": draw(
            st.dictionaries(
                st.sampled_from(sorted(OURS)), st.builds(Consented, st.integers(1, 9), days.map(at), st.booleans())
            )
        ),
        "managed": draw(managed_lists),
    }


def added(made: Plan) -> frozenset[str]:
    return made.adds if isinstance(made, (Create, Update)) else frozenset()


def after(existing: RemoteContact | None, made: Plan) -> RemoteContact | None:
    """Return what the remote holds once a plan was applied, as the server would say it."""
    if isinstance(made, OptOut):
        assert existing is not None
        return RemoteContact("7", existing.email, ContactStatus.DO_NOT_MAIL, {}, existing.fields)
    if not isinstance(made, (Create, Update)):
        return existing
    old = existing.lists if existing else {}
    status = ContactStatus.ACTIVE if made.lists else ContactStatus.REMOVED
    on = {one: old.get(one, Subscription(made.source, at(20))) for one in made.lists}
    return RemoteContact("7", "ada@example.com", status, on, {**(existing.fields if existing else {}), **made.fields})


@given(situations())
def test_applying_a_plan_leaves_nothing_to_plan(situation: dict[str, Any]) -> None:
    first = plan(**situation)
    settled = after(situation["existing"], first)
    base = situation["base"]
    if settled is not None:
        foreign = base.foreign
        if situation["existing"] is not None:
            foreign = additions(situation["desired"], base, situation["existing"])
        base = Base(lists=frozenset(settled.lists), foreign=foreign & frozenset(settled.lists))
    lists_left = dict(situation["opt_outs"].lists)
    if situation["existing"] is not None:
        left = departures(situation["base"], situation["existing"], situation["managed"])
        lists_left |= dict.fromkeys(left, at(15))
    opt_outs = OptOuts(situation["opt_outs"].everything, lists_left)
    if isinstance(first, OptOut):
        opt_outs = OptOuts(at(20), lists_left)
    second = plan(**{**situation, "existing": settled, "base": base, "opt_outs": opt_outs})
    assert isinstance(second, (Nothing, Refuse))


@given(situations())
def test_lists_that_are_not_managed_always_survive(situation: dict[str, Any]) -> None:
    made, existing = plan(**situation), situation["existing"]
    if isinstance(made, Update):
        assert frozenset(existing.lists) - OURS == made.lists - OURS


@given(situations())
def test_nothing_is_added_that_is_not_wanted(situation: dict[str, Any]) -> None:
    assert added(plan(**situation)) <= situation["desired"].lists


@given(situations())
def test_a_forbidden_add_is_never_planned(situation: dict[str, Any]) -> None:
    """Written from the rule itself, not from the planner: an add needs no opt-out, or a later consent."""
    existing, opt_outs, consents = situation["existing"], situation["opt_outs"], situation["consents"]
    for one in added(plan(**situation)):
        covering = [t for t in (opt_outs.everything, opt_outs.lists.get(one)) if t]
        if covering or (existing is not None and existing.status is ContactStatus.DO_NOT_MAIL):
            assert one in consents
            assert consents[one].usable
            assert consents[one].at > max(covering)


@given(situations())
def test_a_list_that_was_left_is_not_given_back_without_consent(situation: dict[str, Any]) -> None:
    situation["existing"] = situation["existing"] or remote("4")
    left = departures(situation["base"], situation["existing"], situation["managed"])
    assert added(plan(**situation)) & left <= set(situation["consents"])


@given(situations())
def test_her_own_act_is_claimed_only_with_a_consent(situation: dict[str, Any]) -> None:
    made = plan(**situation)
    if isinstance(made, (Create, Update)):
        assert (made.source is OptInSource.CONTACT) == (made.consent is not None)
        if made.consent is not None:
            assert made.consent.at > situation["opt_outs"].everything


@given(situations())
def test_a_contact_on_do_not_mail_is_touched_by_consent_alone(situation: dict[str, Any]) -> None:
    situation["existing"] = replace(situation["existing"] or remote(), status=ContactStatus.DO_NOT_MAIL)
    situation["opt_outs"] = OptOuts(situation["opt_outs"].everything or at(5), situation["opt_outs"].lists)
    made = plan(**situation)
    assert not isinstance(made, (Create, OptOut))
    if isinstance(made, Update):
        assert made.consent is not None
        assert made.source is OptInSource.CONTACT


@given(situations())
def test_nobody_is_created_on_no_list(situation: dict[str, Any]) -> None:
    made = plan(**situation)
    assert not isinstance(made, Create) or made.lists


@given(situations())
def test_an_update_changes_something(situation: dict[str, Any]) -> None:
    made = plan(**situation)
    if isinstance(made, Update) and situation["existing"].status is not ContactStatus.DO_NOT_MAIL:
        assert made.adds or made.removes or made.fields


@given(situations())
def test_a_plan_says_what_it_adds_and_removes(situation: dict[str, Any]) -> None:
    made, existing = plan(**situation), situation["existing"]
    if isinstance(made, Update):
        before = frozenset(existing.lists)
        assert made.lists == (before - made.removes) | made.adds
        assert not made.adds & before
        assert made.removes <= before


@given(situations())
def test_an_explicit_opt_out_goes_before_every_wish(situation: dict[str, Any]) -> None:
    situation["desired"] = Desired(situation["desired"].lists, opt_out=True)
    existing = situation["existing"]
    made = plan(**situation)
    if existing is not None and existing.status is not ContactStatus.DO_NOT_MAIL:
        assert isinstance(made, OptOut)
    else:
        assert isinstance(made, (Nothing, Refuse))


# The cases by name


def test_an_upgrade_leaves_one_list_and_joins_the_other() -> None:
    made = decide({"2"}, remote("1", "4"), base=Base(frozenset({"1", "4"})))
    assert made == Update(frozenset({"2", "4"}), adds=frozenset({"2"}), removes=frozenset({"1"}))


def test_equal_sets_are_nothing_to_do() -> None:
    assert decide({"1"}, remote("1", "5")) == Nothing()


def test_an_unknown_address_is_created() -> None:
    assert decide({"1"}, None, fields={"first_name": "Ada"}) == Create(frozenset({"1"}), {"first_name": "Ada"})


def test_an_unknown_address_that_opted_out_here_is_refused() -> None:
    assert decide({"1"}, None, opt_outs=OptOuts(at(3))) == Refuse(Reason.OPTED_OUT, frozenset({"1"}))


def test_an_unknown_address_that_came_back_by_her_own_act_is_created_in_her_name() -> None:
    made = decide({"1", "2"}, None, opt_outs=OptOuts(at(3)), consents={"1": Consented(9, at(4))})
    assert isinstance(made, Create)
    assert (made.lists, made.source, made.withheld) == ({"1"}, OptInSource.CONTACT, {"2"})
    assert made.adds == {"1"}
    assert made.removes == frozenset()


def test_a_consent_must_be_later_than_the_opt_out() -> None:
    gone = remote(status=ContactStatus.DO_NOT_MAIL)
    for day in (2, 3):
        made = decide({"1"}, gone, opt_outs=OptOuts(at(3)), consents={"1": Consented(9, at(day))})
        assert made == Refuse(Reason.OPTED_OUT, frozenset({"1"}))
    assert isinstance(decide({"1"}, gone, opt_outs=OptOuts(at(3)), consents={"1": Consented(9, at(4))}), Update)


def test_a_consent_that_did_not_know_of_an_opt_out_does_not_lift_it() -> None:
    gone, word = remote(status=ContactStatus.DO_NOT_MAIL), {"1": Consented(9, at(5))}
    refused = Refuse(Reason.OPTED_OUT, frozenset({"1"}))
    assert decide({"1"}, gone, opt_outs=OptOuts(at(3), seen=at(6)), consents=word) == refused
    assert isinstance(decide({"1"}, gone, opt_outs=OptOuts(at(3), seen=at(4)), consents=word), Update)
    left = OptOuts(lists={"1": at(3)}, lists_seen={"1": at(6)})
    assert decide({"1"}, remote("4"), opt_outs=left, consents=word) == Refuse(Reason.LEFT_LIST, frozenset({"1"}))


def test_a_write_rests_on_the_weakest_of_its_consents() -> None:
    gone = remote(status=ContactStatus.DO_NOT_MAIL)
    given_ = {"1": Consented(8, at(6)), "2": Consented(9, at(5))}
    made = decide({"1", "2"}, gone, opt_outs=OptOuts(at(3)), consents=given_)
    assert isinstance(made, Update)
    assert made.consent == Consented(9, at(5))


def test_an_absence_that_we_may_have_caused_is_not_a_departure() -> None:
    taking_off = Unclear(before=OURS, after=frozenset({"3"}), observed=at(1))
    base = Base(OURS, (taking_off,))
    assert departures(base, remote("1"), policies()) == {"3"}
    assert departures(base, remote("1", stamp=at(2)), policies()) == {"3"}
    assert departures(base, remote("1", stamp=at(1)), policies()) == {"2", "3"}, "unchanged: our write did not land"
    assert departures(base, remote(stamp=at(1)), policies()) == {"3"}, "it shows, so it did, whatever the stamp"
    putting_on = Unclear(after=frozenset({"3"}), observed=at(1))
    assert departures(Base(unclear=(putting_on,)), remote("1"), policies()) == {"3"}
    assert departures(Base(unclear=(putting_on,)), remote("1", stamp=at(1)), policies()) == frozenset()


def test_leaving_everything_is_not_leaving_each_list() -> None:
    gone = remote(status=ContactStatus.DO_NOT_MAIL)
    assert departures(Base(frozenset({"1"})), gone, policies()) == frozenset()


def test_a_departure_is_ignored_where_the_policy_restores() -> None:
    managed = policies(list1=ListPolicy(on_remote_removal=RemoteRemoval.RESTORE))
    made = decide({"1"}, remote("4"), base=Base(frozenset({"1", "4"})), managed=managed)
    assert isinstance(made, Update)
    assert made.adds == {"1"}


def test_who_was_added_over_there_is_taken_off_or_kept_by_policy() -> None:
    base = Base(frozenset({"2"}))
    taken = decide({"2"}, remote("1", "2"), base=base)
    assert isinstance(taken, Update)
    assert taken.removes == {"1"}
    keep = policies(list1=ListPolicy(on_remote_addition=RemoteAddition.KEEP))
    assert decide({"2"}, remote("1", "2"), base=base, managed=keep) == Nothing()
    known = Base(frozenset({"1", "2"}), foreign=frozenset({"1"}))
    assert decide({"2"}, remote("1", "2"), base=known, managed=keep) == Nothing()


def test_an_own_addition_is_taken_off_even_where_foreign_ones_are_kept() -> None:
    keep = policies(list1=ListPolicy(on_remote_addition=RemoteAddition.KEEP))
    made = decide({"2"}, remote("1"), base=Base(frozenset({"1"})), managed=keep)
    assert isinstance(made, Update)
    assert made.removes == {"1"}


def test_who_came_back_by_herself_after_an_opt_out_stays() -> None:
    assert decide({"1"}, remote("1"), opt_outs=OptOuts(at(3))) == Nothing()


def test_a_list_left_on_the_site_is_taken_off_and_a_later_join_over_there_stands() -> None:
    left = OptOuts(lists={"1": at(5)})
    assert isinstance(decide({"1"}, remote("1"), opt_outs=left), Update)
    rejoined = RemoteContact("7", "a@example.com", ContactStatus.ACTIVE, {"1": Subscription(None, at(6))})
    assert decide({"1"}, rejoined, opt_outs=left) == Nothing()


def test_fields_are_sent_only_where_the_site_has_another_value() -> None:
    there = remote("1", fields={"first_name": "Ada", "city": "Salem"})
    assert decide({"1"}, there, fields={"first_name": "Ada", "company_name": ""}) == Nothing()
    made = decide({"1"}, there, fields={"first_name": "Ada", "company_name": "Acme"})
    assert made == Update(frozenset({"1"}), fields={"company_name": "Acme"})


def test_the_profile_of_someone_on_none_of_our_lists_is_left_alone() -> None:
    assert decide(set(), remote("4"), fields={"first_name": "Ada"}) == Nothing()


def test_part_of_a_wish_that_is_ruled_out_is_withheld_and_the_rest_done() -> None:
    made = decide({"1", "2"}, remote("4"), opt_outs=OptOuts(lists={"1": at(3)}))
    assert made == Update(frozenset({"2", "4"}), adds=frozenset({"2"}), withheld=frozenset({"1"}))
    assert decide({"1"}, remote("4"), opt_outs=OptOuts(lists={"1": at(3)})) == Refuse(
        Reason.LEFT_LIST, frozenset({"1"})
    )


def test_a_late_write_of_our_own_does_not_count_as_coming_back() -> None:
    made = decide(
        {"1"}, remote("1", "4"), base=Base(unclear=(Unclear(after=frozenset({"1"})),)), opt_outs=OptOuts(at(3))
    )
    assert made == Update(frozenset({"4"}), removes=frozenset({"1"}), withheld=frozenset({"1"}))


def test_her_joining_over_there_is_no_late_write_of_our_own_where_the_server_says_whose_act_it_was() -> None:
    """An unclear write that named the list may have landed long before; the server dates her own act after it."""
    base = Base(frozenset(), (Unclear(frozenset(), frozenset({"1"})),))
    left = OptOuts(lists={"1": at(1)})
    hers = replace(remote(), lists={"1": Subscription(OptInSource.CONTACT, at(2))}, status=ContactStatus.ACTIVE)
    assert decide({"1"}, hers, base=base, opt_outs=left) == Nothing()
    before = replace(hers, lists={"1": Subscription(OptInSource.CONTACT, at(1))})
    ours = replace(hers, lists={"1": Subscription(OptInSource.SITE, at(2))})
    in_her_name = replace(base, returned=frozenset({"1"}))
    for there, known in ((before, base), (ours, base), (hers, in_her_name)):
        taken = decide({"1"}, there, base=known, opt_outs=left)
        assert isinstance(taken, Update)
        assert taken.removes == {"1"}


def test_a_consent_that_an_unclear_write_rests_on_keeps_her_and_sends_nothing() -> None:
    resting = {"1": Consented(9, at(4), usable=False)}
    gone = remote(status=ContactStatus.DO_NOT_MAIL)
    assert decide({"1"}, gone, opt_outs=OptOuts(at(3)), consents=resting) == Refuse(Reason.OPTED_OUT, frozenset({"1"}))
    landed = Base(unclear=(Unclear(after=frozenset({"1"})),))
    assert decide({"1"}, remote("1"), base=landed, opt_outs=OptOuts(at(3)), consents=resting) == Nothing()


def test_a_return_says_all_that_it_changes() -> None:
    gone = remote("1", "4", status=ContactStatus.DO_NOT_MAIL, opted_out_at=at(3), fields={"first_name": "Ada"})
    decided = decide(
        {"2", "3"},
        gone,
        opt_outs=OptOuts(at(3)),
        consents={"2": Consented(1, at(4))},
        fields={"first_name": "Ada", "last_name": "Lovelace"},
    )
    assert decided == Update(
        lists=frozenset({"2", "4"}),
        adds=frozenset({"2"}),
        removes=frozenset({"1"}),
        fields={"last_name": "Lovelace"},
        source=OptInSource.CONTACT,
        consent=Consented(1, at(4)),
        withheld=frozenset({"3"}),
    )


def test_an_opt_out_of_someone_unknown_on_no_list_is_nothing_to_do() -> None:
    assert decide(set(), None, opt_out=True) == Nothing()
    assert decide({"1"}, None, opt_out=True) == Refuse(Reason.OPTED_OUT, frozenset({"1"}))
    assert decide({"1"}, remote("1", "4"), opt_out=True) == OptOut(withheld=frozenset({"1"}))


def test_a_list_joined_in_the_very_moment_of_leaving_counts_as_left() -> None:
    here = remote("1")
    left = OptOuts(lists={"1": at(0)})  # she has been on it since at(0)
    assert decide({"1"}, here, base=Base(frozenset({"1"})), opt_outs=left) == Update(
        lists=frozenset(), removes=frozenset({"1"}), withheld=frozenset({"1"})
    )


def test_a_field_that_is_not_there_yet_is_sent() -> None:
    decided = decide({"1"}, remote("1"), base=Base(frozenset({"1"})), fields={"city": "Bonn", "note": ""})
    assert isinstance(decided, Update)
    assert decided.fields == {"city": "Bonn"}


def test_do_not_mail_counts_even_where_nobody_knows_since_when() -> None:
    gone = remote(status=ContactStatus.DO_NOT_MAIL)
    assert decide({"1"}, gone) == Refuse(Reason.OPTED_OUT, frozenset({"1"}))


def test_a_create_says_what_it_withholds_and_carries_her_fields() -> None:
    fields = {"first_name": "Ada"}
    made = decide({"1", "2"}, None, opt_outs=OptOuts(lists={"1": at(3)}), fields=fields)
    assert made == Create(frozenset({"2"}), fields, withheld=frozenset({"1"}))
    consents = {"1": Consented(9, at(4))}
    returned = decide({"1", "2"}, None, opt_outs=OptOuts(at(3)), consents=consents, fields=fields)
    assert returned == Create(
        frozenset({"1"}), fields, source=OptInSource.CONTACT, consent=consents["1"], withheld=frozenset({"2"})
    )


# A changed address

NEW = "augusta@example.com"


def moved(wanted: set[str], existing: RemoteContact | None, **more: Any) -> Plan:
    desired = Desired(frozenset(wanted), address=NEW, **more)
    base = Base(frozenset(existing.lists) if existing else frozenset())
    return plan(desired, base, existing, OptOuts(), {}, policies())


def test_who_has_another_address_over_there_gets_the_new_one_and_nothing_else_changes() -> None:
    assert moved({"1"}, remote("1", "4")) == Update(frozenset({"1", "4"}), address=NEW)


def test_a_new_address_goes_along_with_other_changes() -> None:
    made = moved({"2"}, remote("1"), fields={"city": "Bonn"})
    assert made == Update(
        frozenset({"2"}), adds=frozenset({"2"}), removes=frozenset({"1"}), fields={"city": "Bonn"}, address=NEW
    )


def test_who_has_the_address_already_is_not_given_it_again() -> None:
    assert moved({"1"}, replace(remote("1"), email=NEW)) == Nothing()


def test_the_address_of_someone_on_none_of_our_lists_is_none_of_our_business() -> None:
    assert moved(set(), remote("4")) == Nothing()
    assert moved(set(), remote("1", "4")) == Update(frozenset({"4"}), removes=frozenset({"1"}))


@given(situation=situations())
def test_a_new_address_never_changes_what_may_be_added(situation: dict[str, Any]) -> None:
    as_it_is = plan(**situation)
    with_address = plan(**{**situation, "desired": replace(situation["desired"], address=NEW)})
    assert added(with_address) == added(as_it_is)
    assert with_address.withheld == as_it_is.withheld
    if isinstance(with_address, Update) and with_address.address:
        assert situation["existing"].status is not ContactStatus.DO_NOT_MAIL
        assert with_address.lists & OURS


def test_when_a_contact_keeps_the_address_that_it_has() -> None:
    opted_out = remote(status=ContactStatus.DO_NOT_MAIL)
    assert not parts(Desired(), remote("1"), None, barred=False)
    assert parts(Desired(), remote("1"), remote("4"), barred=False)
    assert parts(Desired(), remote("1"), None, barred=True)
    assert parts(Desired(), opted_out, None, barred=False)
    assert not parts(Desired(opt_out=True), opted_out, remote(), barred=True), "an opt-out needs no address"
