"""Every policy of the package, as pure functions over values.

``plan`` compares what the site wants with what Constant Contact has and returns the one write that is
needed, or the reason why there is none. It does no I/O, knows no wire and reads no clock; the same values
always give the same plan. It may import types only, and never Django.

Lists are named by their ids at Constant Contact throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .types import EMPTY, ContactStatus, OptInSource, RemoteAddition, RemoteContact, RemoteRemoval

__all__ = [
    "Base",
    "Consented",
    "Create",
    "Desired",
    "ListPolicy",
    "Nothing",
    "OptOut",
    "OptOuts",
    "Plan",
    "Reason",
    "Refuse",
    "Unclear",
    "Update",
    "additions",
    "departures",
    "parts",
    "plan",
]

NO_LISTS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Desired:
    """What the site wants for one address. ``opt_out`` is an explicit opt-out that must reach the remote.

    ``address`` is the one that a contact gets who is found under one that she had; empty: hers is left alone.
    """

    lists: frozenset[str] = NO_LISTS
    fields: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    opt_out: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """What to do with changes that others made to a managed list."""

    on_remote_removal: RemoteRemoval = RemoteRemoval.RESPECT
    on_remote_addition: RemoteAddition = RemoteAddition.REMOVE


@dataclass(frozen=True, slots=True)
class Unclear:
    """A write of ours that nobody knows the end of: the lists before and after it, and what it was based on.

    ``observed`` is the contact's stamp as the write's author had read it.
    """

    before: frozenset[str] = NO_LISTS
    after: frozenset[str] = NO_LISTS
    observed: datetime | None = None

    def may_have_landed(self, existing: RemoteContact) -> bool:
        """Say whether a reading may show it. One with the same stamp does not, unless its lists say otherwise."""
        return self._shows_in(existing) or existing.stamp is None or existing.stamp != self.observed

    def _shows_in(self, existing: RemoteContact) -> bool:
        touched = self.before ^ self.after
        return bool(touched) and touched & existing.lists.keys() == touched & self.after


@dataclass(frozen=True, slots=True)
class Base:
    """What we last knew the remote to hold. ``foreign`` are lists that someone added her to over there.

    ``returned`` are lists that a write of ours in her name put her on, at about the time when she left them: there
    the server's "since" is that write's and not hers.
    """

    lists: frozenset[str] = NO_LISTS
    unclear: tuple[Unclear, ...] = ()
    foreign: frozenset[str] = NO_LISTS
    returned: frozenset[str] = NO_LISTS

    def may_hold(self, existing: RemoteContact) -> frozenset[str]:
        """Return the lists that an unclear write of ours may have added."""
        return self._effect(existing, lambda one: one.after - one.before)

    def may_lack(self, existing: RemoteContact) -> frozenset[str]:
        """Return the lists that one may have taken off: their absence is not a departure."""
        return self._effect(existing, lambda one: one.before - one.after)

    def _effect(self, existing: RemoteContact, part: Callable[[Unclear], frozenset[str]]) -> frozenset[str]:
        return NO_LISTS.union(*(part(one) for one in self.unclear if one.may_have_landed(existing)))


def _last(*times: datetime | None) -> datetime | None:
    return max((at for at in times if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class OptOuts:
    """Known opt-outs: of everything, and of single lists. All times are aware.

    ``seen`` and ``lists_seen`` are when the site learned of them, where they were made at Constant Contact.
    """

    everything: datetime | None = None
    lists: Mapping[str, datetime] = field(default_factory=dict)
    seen: datetime | None = None
    lists_seen: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def known(self) -> datetime | None:
        """Return since when the opt-out of everything counts: from when the site knew of it."""
        return _last(self.everything, self.seen)

    def latest(self, list_id: str) -> datetime | None:
        """Return since when the last opt-out that covers a list counts.

        Who asks for a list before the site has learned that she left it was not shown that, so it lifts nothing.
        """
        return _last(self.known, self.lists.get(list_id), self.lists_seen.get(list_id))


@dataclass(frozen=True, slots=True)
class Consented:
    """The person's own act for one list. ``consent`` is the id of the record that proves it.

    One that an unclear write rests on is not ``usable``: it keeps her where she is, and sends nothing again.
    """

    consent: int
    at: datetime
    usable: bool = True


class Reason(StrEnum):
    """Why a wish is not carried out although nothing is wrong."""

    OPTED_OUT = "opted_out"
    LEFT_LIST = "left_list"


@dataclass(frozen=True, slots=True)
class Create:
    """Add the contact to these lists."""

    lists: frozenset[str]
    fields: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    source: OptInSource = OptInSource.SITE
    consent: Consented | None = None
    withheld: frozenset[str] = NO_LISTS

    @property
    def adds(self) -> frozenset[str]:
        return self.lists

    @property
    def removes(self) -> frozenset[str]:
        return NO_LISTS


@dataclass(frozen=True, slots=True)
class Update:
    """Write the contact back with exactly ``lists``, and with ``fields`` set.

    ``consent`` is the record that this write rests on, when it reopens a contact who had opted out. ``address`` is
    her new one; empty: it stays as it is.
    """

    lists: frozenset[str]
    adds: frozenset[str] = NO_LISTS
    removes: frozenset[str] = NO_LISTS
    fields: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    source: OptInSource = OptInSource.SITE
    consent: Consented | None = None
    withheld: frozenset[str] = NO_LISTS
    address: str = ""


@dataclass(frozen=True, slots=True)
class OptOut:
    """Put the contact on Do Not Mail, for good."""

    withheld: frozenset[str] = NO_LISTS


@dataclass(frozen=True, slots=True)
class Nothing:
    """All is as it should be: no write."""

    withheld: frozenset[str] = NO_LISTS


@dataclass(frozen=True, slots=True)
class Refuse:
    """The site wants something that the person has ruled out: no write, and staff are shown why."""

    reason: Reason
    withheld: frozenset[str]


Plan = Create | Update | OptOut | Nothing | Refuse


def departures(base: Base, existing: RemoteContact, managed: Mapping[str, ListPolicy]) -> frozenset[str]:
    """Return the managed lists that the contact left at Constant Contact since we last looked.

    A contact on Do Not Mail has left everything at once; that is an opt-out, not a departure.
    """
    if existing.status is ContactStatus.DO_NOT_MAIL:
        return NO_LISTS
    held = (base.lists | base.may_hold(existing)) - base.may_lack(existing)
    gone = (held & managed.keys()) - existing.lists.keys()
    return frozenset(one for one in gone if managed[one].on_remote_removal is RemoteRemoval.RESPECT)


def additions(desired: Desired, base: Base, existing: RemoteContact) -> frozenset[str]:
    """Return the lists that the contact is on by someone's act at Constant Contact, and not by our wish."""
    present = frozenset(existing.lists)
    unexplained = present - base.lists - base.may_hold(existing)
    return ((base.foreign & present) | unexplained) - desired.lists


def parts(desired: Desired, old: RemoteContact, new: RemoteContact | None, *, barred: bool) -> bool:
    """Say whether a contact found under an address that she had keeps it, so that the new one begins by itself.

    That is so where the new address is known over there (``new``) or must never return (``barred``), and for Do Not
    Mail: a new address is no way around an opt-out. An opt-out of her own that is on its way needs no address.
    """
    if desired.opt_out:
        return False
    return new is not None or barred or old.status is ContactStatus.DO_NOT_MAIL


def plan(
    desired: Desired,
    base: Base,
    existing: RemoteContact | None,
    opt_outs: OptOuts,
    consents: Mapping[str, Consented],
    managed: Mapping[str, ListPolicy],
) -> Plan:
    """Return the one write that brings the remote to what the site may have.

    ``consents`` maps a list to the person's latest usable consent for it. Unmanaged lists are always kept.
    """
    if desired.opt_out:
        return _opt_out(existing, desired)
    left = departures(base, existing, managed) if existing is not None else NO_LISTS
    effective = _effective(desired.lists, base, existing, opt_outs, consents, left)
    withheld = desired.lists - effective
    if existing is None:
        return _plan_absent(desired, effective, withheld, opt_outs, consents)
    if existing.status is ContactStatus.DO_NOT_MAIL:
        return _plan_opted_out(desired, effective, withheld, existing, consents, managed)
    return _plan_present(desired, base, effective, withheld, existing, managed)


def _opt_out(existing: RemoteContact | None, desired: Desired) -> Plan:
    if existing is None or existing.status is ContactStatus.DO_NOT_MAIL:
        return Refuse(Reason.OPTED_OUT, desired.lists) if desired.lists else Nothing()
    return OptOut(withheld=desired.lists)


def _effective(
    wanted: frozenset[str],
    base: Base,
    existing: RemoteContact | None,
    opt_outs: OptOuts,
    consents: Mapping[str, Consented],
    left: frozenset[str],
) -> frozenset[str]:
    """Return the wanted lists that the contact may be on."""
    return frozenset(
        one
        for one in wanted
        if _consented(one, existing, opt_outs, consents)
        or (
            one not in left
            and (_never_opted_out(one, existing, opt_outs) or _stayed_by_own_act(one, base, existing, opt_outs))
        )
    )


def _consented(
    list_id: str, existing: RemoteContact | None, opt_outs: OptOuts, consents: Mapping[str, Consented]
) -> bool:
    """Say whether the person asked for this list after her last opt-out that covers it."""
    opted_out, consent = opt_outs.latest(list_id), consents.get(list_id)
    if opted_out is None or consent is None or consent.at <= opted_out:
        return False
    return consent.usable or _is_on(list_id, existing)


def _is_on(list_id: str, existing: RemoteContact | None) -> bool:
    if existing is None or existing.status is ContactStatus.DO_NOT_MAIL:
        return False
    return list_id in existing.lists


def _never_opted_out(list_id: str, existing: RemoteContact | None, opt_outs: OptOuts) -> bool:
    on_do_not_mail = existing is not None and existing.status is ContactStatus.DO_NOT_MAIL
    return not on_do_not_mail and opt_outs.latest(list_id) is None


def _stayed_by_own_act(list_id: str, base: Base, existing: RemoteContact | None, opt_outs: OptOuts) -> bool:
    """Say whether the contact is on a list although an older opt-out covers it.

    Only her own act undoes Do Not Mail (v1 §6), so a contact who is back on a list came back herself: keeping
    her there adds nothing, unless it was a write of our own that landed late. A single list that she left
    through the site is different: there she stays only if the server says that she joined it afterwards. That it
    was her own act, and no late write in the site's name, the server says as well.
    """
    if existing is None or not _is_on(list_id, existing) or list_id in base.returned:
        return False
    left_at, there = opt_outs.lists.get(list_id), existing.lists[list_id]
    joined = left_at is not None and there.since is not None and there.since > left_at
    if list_id in base.may_hold(existing):
        return joined and there.source is OptInSource.CONTACT
    return joined or left_at is None


def _plan_absent(
    desired: Desired,
    effective: frozenset[str],
    withheld: frozenset[str],
    opt_outs: OptOuts,
    consents: Mapping[str, Consented],
) -> Plan:
    """Nobody is created on no list, and nobody who opted out is created at all without her consent."""
    if not effective:
        return _nothing(withheld, opt_outs.everything is not None)
    if opt_outs.everything is None:
        return Create(effective, desired.fields, withheld=withheld)
    consent = _earliest(effective, consents)
    return Create(effective, desired.fields, source=OptInSource.CONTACT, consent=consent, withheld=withheld)


def _plan_opted_out(
    desired: Desired,
    effective: frozenset[str],
    withheld: frozenset[str],
    existing: RemoteContact,
    consents: Mapping[str, Consented],
    managed: Mapping[str, ListPolicy],
) -> Plan:
    """Reopen a Do Not Mail contact on the lists she asked for and no others, or leave her alone."""
    if not effective:
        return _nothing(withheld, opted_out=True)
    target, present = _target(effective, existing, managed), frozenset(existing.lists)
    return Update(
        lists=target,
        adds=target - present,
        removes=present - target,
        fields=_changed(desired.fields, existing),
        source=OptInSource.CONTACT,
        consent=_earliest(effective, consents),
        withheld=withheld,
    )


def _earliest(effective: frozenset[str], consents: Mapping[str, Consented]) -> Consented:
    """Return the weakest consent that a write rests on: if that one is later than the opt-out, all are."""
    return min((consents[one] for one in effective), key=lambda one: (one.at, one.consent))


def _plan_present(
    desired: Desired,
    base: Base,
    effective: frozenset[str],
    withheld: frozenset[str],
    existing: RemoteContact,
    managed: Mapping[str, ListPolicy],
) -> Plan:
    present = frozenset(existing.lists)
    target = _target(effective, existing, managed, kept=_kept(desired, base, existing, managed))
    # The profile of someone who is on none of our lists is none of our business, and neither is her address.
    fields = _changed(desired.fields, existing) if effective else EMPTY
    address = desired.address if effective and desired.address != existing.email else ""
    if target == present and not fields and not address:
        return _nothing(withheld, opted_out=False)
    adds, removes = target - present, present - target
    return Update(lists=target, adds=adds, removes=removes, fields=fields, withheld=withheld, address=address)


def _target(
    effective: frozenset[str],
    existing: RemoteContact,
    managed: Mapping[str, ListPolicy],
    kept: frozenset[str] = NO_LISTS,
) -> frozenset[str]:
    return frozenset(existing.lists.keys() - managed.keys()) | effective | kept


def _kept(desired: Desired, base: Base, existing: RemoteContact, managed: Mapping[str, ListPolicy]) -> frozenset[str]:
    """Return the managed lists that someone added her to over there, and whose policy lets that stand."""
    return frozenset(
        one
        for one in additions(desired, base, existing)
        if one in managed and managed[one].on_remote_addition is RemoteAddition.KEEP
    )


def _changed(fields: Mapping[str, str], existing: RemoteContact) -> Mapping[str, str]:
    """Return the fields that have a value here and another one there. Without a value here, theirs stays."""
    return {name: value for name, value in fields.items() if value and existing.fields.get(name) != value}


def _nothing(withheld: Iterable[str], opted_out: bool) -> Plan:
    lists = frozenset(withheld)
    if lists:
        return Refuse(Reason.OPTED_OUT if opted_out else Reason.LEFT_LIST, lists)
    return Nothing()
