"""What the tables know of one contact, read as values for the planner and written after each reading.

``services`` drives; this room keeps its books: the wish with its lists, the base, the opt-outs and consents, and
what each reading tells. The permit and the outcome of a write stand in ``permits``, a changed address in ``former``.
It decides nothing and calls nobody. It may import models, outbox, addresses, planning, exceptions and types only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, Exists, F, Max, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest

from . import addresses, outbox, planning
from .exceptions import RemoteConflict
from .models import (
    Account,
    Consent,
    Contact,
    ContactList,
    DatabaseNow,
    FormerAddress,
    ListOptOut,
    Membership,
    RemoteMembership,
    Suppression,
    WriteAttempt,
    moment_of,
)
from .outbox import Claim
from .planning import Base, Consented, Desired, ListPolicy, OptOuts, Unclear
from .types import (
    ConsentKind,
    ContactStatus,
    OptInSource,
    OptOutSource,
    Outcome,
    RemoteAddition,
    RemoteContact,
    RemoteRemoval,
    Subscription,
    Verb,
)

__all__ = [
    "CATCH_UP",
    "IN_FLIGHT",
    "NOT_REVIEWED",
    "QUARANTINE",
    "UNKNOWN",
    "LeaseLost",
    "Local",
    "absorb",
    "counting",
    "free_remote_id",
    "is_behind",
    "is_unclear",
    "learn",
    "load",
    "note_remote_id",
    "pause",
    "resting",
    "unclear_writes",
    "write_base",
]

#: A write of unknown outcome may still land this long after it was sent.
IN_FLIGHT = outbox.VERIFY_AFTER
#: A consent that a write of unknown outcome rests on may be used again only after this.
QUARANTINE = timedelta(minutes=10)
#: Outcomes that nobody knows.
UNKNOWN = (Outcome.OPEN.value, Outcome.AMBIGUOUS.value)
#: What a new opt-out of a list begins with: a decision about an older one says nothing about it.
NOT_REVIEWED = {"reviewed_at": None, "reviewed_by": "", "put_back_why": ""}
#: Adds wait while the account's news is older than this: after a restore, what happened since is not known.
CATCH_UP = timedelta(minutes=30)


class LeaseLost(Exception):
    """Another worker has taken this contact over: stop, write nothing."""


@dataclass(frozen=True, slots=True)
class Local:
    """All that the tables say about one contact, as values. Lists are named by their remote ids.

    ``now`` is the database's time of reading. ``bound`` are the lists with a key, ``managed`` those of them that are
    ours to change for this contact: a stranger's are not, but that she left one counts for her too.

    ``former`` are addresses that she had and that no other row has: she may still be known by one over there, and
    where her id is not known, by one of ``sought``.
    ``elsewhere`` are those that another row has. ``barred``: this address must not return (``Suppression``);
    ``inherited`` is when one that she had was erased like that. ``opted_out``: this reading is the first to tell that
    she has opted out over there.
    """

    contact: Contact
    now: datetime
    desired: Desired
    base: Base
    opt_outs: OptOuts
    consents: Mapping[str, Consented]
    managed: Mapping[str, ListPolicy]
    bound: Mapping[str, ListPolicy]
    unbound: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    former: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()
    elsewhere: tuple[FormerAddress, ...] = ()
    barred: bool = False
    inherited: datetime | None = None
    opted_out: bool = False


def load(contact_id: int, names: Callable[[str], Sequence[str]]) -> Local:
    """Read a contact's books. The contact's row, and with it the wish number, is read by the claim before.

    ``names`` gives the hashes under which an address may be remembered after it was erased.
    """
    contact = Contact.objects.select_related("account").with_moment().get(pk=contact_id)
    now = moment_of(contact)
    keyed = list(ContactList.objects.filter(account_id=contact.account_id, key__isnull=False))
    # That she is not on a list which is gone says nothing about her, and nobody can be put on it.
    lists, gone = [one for one in keyed if not one.missing_since], {one.key for one in keyed if one.missing_since}
    policies = {one.remote_id: _policy(one) for one in lists}
    bound = {one.key: one.remote_id for one in lists}
    # Of a stranger only the lists are ours that she asked about herself.
    asked = set(ListOptOut.objects.filter(contact=contact).values_list("list_id", flat=True))
    keys = set(Membership.objects.filter(contact=contact).values_list("key", flat=True))
    former = list(FormerAddress.objects.filter(contact=contact).order_by("at", "pk"))
    taken = _taken(contact, former)
    suppressed = [_suppressed(contact, names(one)) for one in (contact.email, *(one.email for one in former))]
    opt_outs = _opt_outs(contact, suppressed)
    return Local(
        contact=contact,
        now=now,
        desired=Desired(
            lists=frozenset(bound[key] for key in keys if key in bound),
            fields=contact.profile,
            opt_out=contact.opt_out_wanted,
            address=contact.email,
        ),
        base=replace(_base(contact), returned=_returned(contact, opt_outs.lists)),
        opt_outs=opt_outs,
        consents=_consents(contact, bound, now),
        managed={one.remote_id: policies[one.remote_id] for one in lists if contact.claimed or one.pk in asked},
        bound=policies,
        unbound=frozenset(keys - bound.keys() - gone),
        missing=frozenset(keys & gone),
        former=tuple(one.email for one in former if one.email not in taken),
        sought=tuple(one.email for one in former if one.email not in taken and _is_sought(contact, one)),
        elsewhere=tuple(one for one in former if one.email in taken),
        barred=suppressed[0] is not None,
        inherited=max((at for at in suppressed[1:] if at is not None), default=None),
    )


def _is_sought(contact: Contact, one: FormerAddress) -> bool:
    return one.sought or one.email == contact.known_as


def _taken(contact: Contact, former: Sequence[FormerAddress]) -> set[str]:
    """Return the addresses among these that another row has."""
    if not former:
        return set()
    rows = Contact.objects.filter(account_id=contact.account_id, email__in=[one.email for one in former])
    return set(rows.values_list("email", flat=True))


def _suppressed(contact: Contact, names: Sequence[str]) -> datetime | None:
    """Return when an address was erased that must not return."""
    gone = Suppression.objects.filter(account_id=contact.account_id, address_hash__in=names)
    return max(gone.values_list("at", flat=True), default=None)


def _policy(one: ContactList) -> ListPolicy:
    return ListPolicy(RemoteRemoval(one.on_remote_removal), RemoteAddition(one.on_remote_addition))


def _base(contact: Contact) -> Base:
    rows = list(RemoteMembership.objects.filter(contact=contact).select_related("list"))
    return Base(
        lists=frozenset(row.list.remote_id for row in rows),
        unclear=tuple(_unclear(contact)),
        foreign=frozenset(row.list.remote_id for row in rows if row.foreign),
    )


def _unclear(contact: Contact) -> Iterator[Unclear]:
    """Yield the writes of unknown outcome.

    A journal row leaves them when a reading is recorded that is later than it could land, never before. What a
    later write of known outcome took off again is not expected any more.
    """
    writes = WriteAttempt.objects.filter(contact=contact).order_by("at")
    rows = list(writes.filter(outcome__in=UNKNOWN))
    if not rows:
        return
    known = list(writes.filter(outcome=Outcome.OK.value, at__gt=rows[0].at).values_list("at", "lists_after"))
    for row in rows:
        expected = set(row.lists_after)
        for at, after in known:
            expected &= set(after) if at > row.at else expected
        kept = expected | (set(row.lists_after) & set(row.lists_before))
        yield Unclear(frozenset(row.lists_before), frozenset(kept), row.observed_updated_at)


def _returned(contact: Contact, left: Mapping[str, datetime]) -> frozenset[str]:
    """Return the lists that she left, and that our own write in her name may have put her on since.

    The server dates what such a write adds like her own joining over there. A later write that left the list out
    ends it: on it after that, she came by herself.
    """
    if not left:
        return frozenset()
    writes = WriteAttempt.objects.filter(contact=contact, at__gt=min(left.values()) - IN_FLIGHT).order_by("at")
    sent = writes.exclude(outcome__in=(Outcome.NOT_SENT.value, Outcome.REFUSED.value))
    found: set[str] = set()
    for row in sent:
        if row.outcome == Outcome.OK.value:
            found &= set(row.lists_after)
        if row.source == OptInSource.CONTACT.value:
            added = set(row.lists_after) - set(row.lists_before)
            found |= {one for one in added & left.keys() if row.at > left[one] - IN_FLIGHT}
    return frozenset(found)


def _opt_outs(contact: Contact, suppressed: Sequence[datetime | None]) -> OptOuts:
    """Return what rules adds out."""
    everything = max((at for at in (contact.opted_out_at, *suppressed) if at is not None), default=None)
    left = list(counting(contact).values_list("list__remote_id", "at", "seen_at"))
    return OptOuts(
        everything,
        {one: at for one, at, _ in left},
        seen=contact.opted_out_seen_at,
        lists_seen={one: seen for one, _, seen in left if seen is not None},
    )


def counting(contact: Contact) -> QuerySet[ListOptOut]:
    """Return the opt-outs of lists that count.

    A departure over there does not, where the list's policy is to put her back, or staff have done so.
    """
    return ListOptOut.objects.filter(contact=contact, put_back_why="").exclude(
        source=OptOutSource.REMOTE.value, list__on_remote_removal=RemoteRemoval.RESTORE.value
    )


def _consents(contact: Contact, bound: Mapping[str | None, str], now: datetime) -> dict[str, Consented]:
    """Return the latest consent for each list. One that a write of unknown outcome rests on is not usable yet."""
    busy = set(resting(contact, now).values_list("consent", flat=True))
    hers = Consent.objects.filter(contact=contact, kind=ConsentKind.CONTACT_ACTION.value, at__lte=now)
    given = hers.order_by("at", "pk").values_list("pk", "key", "at")
    return {bound[key]: Consented(pk, at, pk not in busy) for pk, key, at in given if key in bound}


def resting(contact: Contact, now: datetime) -> QuerySet[WriteAttempt]:
    """Return the unclear writes of late that rest on a consent."""
    unclear = (*UNKNOWN, Outcome.VERIFIED.value)
    recent = WriteAttempt.objects.filter(contact=contact, outcome__in=unclear, at__gte=now - QUARANTINE)
    return recent.filter(consent__isnull=False)


def absorb(claim: Claim, local: Local, existing: RemoteContact | None) -> Local:
    """Record what the remote says before anything is written, so that a crash from here on knows it.

    Opt-outs come first: Do Not Mail, then single lists that the contact left. Raise ``LeaseLost`` when the
    contact is no longer ours, and ``RemoteConflict`` where a pull has told meanwhile that she opted out.
    """
    with transaction.atomic():
        _close_landed(local)
        freed = existing is not None and free_remote_id(local.contact, existing.remote_id)
        is_new = _observe(claim, local, existing)
        if freed:
            local = _followed(local)
        if local.inherited is not None:
            _inherit(local.contact, local.inherited)
        if existing is None:
            write_base(local.contact, {}, frozenset())
        else:
            foreign = planning.additions(local.desired, local.base, existing)
            _record_departures(local, existing)
            _record_returns(local, existing)
            write_base(local.contact, existing.lists, foreign)
    return replace(learn(local, existing), opted_out=is_new)


def _followed(local: Local) -> Local:
    """Return the books with the opt-outs that came with an id from another row."""
    opt_outs = _opt_outs(Contact.objects.get(pk=local.contact.pk), [local.opt_outs.everything])
    return replace(
        local, opt_outs=opt_outs, base=replace(local.base, returned=_returned(local.contact, opt_outs.lists))
    )


def _inherit(contact: Contact, at: datetime) -> None:
    """Keep the opt-out of an address that was erased, for the one that the same person has now."""
    earlier = Q(opted_out_at=None) | Q(opted_out_at__lt=at)
    values = {"opted_out_at": at, "opted_out_source": OptOutSource.SITE.value, "opted_out_seen_at": DatabaseNow()}
    Contact.objects.filter(earlier, pk=contact.pk).update(**values)


def is_unclear(local: Local) -> bool:
    """Say whether a write of unknown outcome may still land."""
    return WriteAttempt.objects.filter(contact=local.contact, outcome__in=UNKNOWN).exists()


def learn(local: Local, existing: RemoteContact | None) -> Local:
    """Return the books with the opt-outs that a reading tells of. It writes nothing: a preview needs it too."""
    if existing is None:
        return local
    opt_outs, moment = local.opt_outs, _moment(local, existing)
    if existing.status is ContactStatus.DO_NOT_MAIL:
        at = _opted_out_at(local, existing)
        seen = local.now if _is_news(local, at) else opt_outs.seen
        opt_outs = replace(opt_outs, everything=max(at, opt_outs.everything or at), seen=seen)
    left = planning.departures(local.base, existing, local.bound)
    lists, seen_at = dict.fromkeys(left, moment), dict.fromkeys(left, local.now)
    opt_outs = replace(opt_outs, lists={**opt_outs.lists, **lists}, lists_seen={**opt_outs.lists_seen, **seen_at})
    return replace(local, opt_outs=opt_outs)


def _is_news(local: Local, at: datetime) -> bool:
    """Say whether nobody here knew of an opt-out of that time before this reading."""
    contact = local.contact
    if contact.status == ContactStatus.DO_NOT_MAIL:
        return False
    return contact.opted_out_at is None or (
        contact.opted_out_at < at and not _sent_opt_outs().filter(contact=contact).exists()
    )


def _sent_opt_outs() -> QuerySet[WriteAttempt]:
    """Return our own writes that may have carried out the opt-out that the row knows: they come back as later ones."""
    never = (Outcome.NOT_SENT.value, Outcome.REFUSED.value)
    return WriteAttempt.objects.filter(verb=Verb.OPT_OUT.value, at__gte=F("contact__opted_out_at")).exclude(
        outcome__in=never
    )


def _moment(local: Local, existing: RemoteContact) -> datetime:
    """Return when something that the reading shows happened at the latest."""
    return existing.updated_at or local.now


def _close_landed(local: Local) -> None:
    """What was sent so long before this reading has landed by now or never will."""
    WriteAttempt.objects.filter(contact=local.contact, outcome__in=UNKNOWN, at__lt=local.now - IN_FLIGHT).update(
        outcome=Outcome.VERIFIED.value
    )


def _observe(claim: Claim, local: Local, existing: RemoteContact | None) -> bool:
    """Write down what was read. Return whether it is the first word of her opt-out: a pull may have told of it."""
    changes: dict[str, object] = {"seen_at": DatabaseNow()}
    if existing is None:
        changes |= {"remote_id": None, "status": "", "known_as": ""}
    else:
        if existing.status is ContactStatus.DO_NOT_MAIL:
            _wait_for_her(local.contact)
            changes |= _opt_out_seen(claim, local, existing)  # before status: MariaDB would judge by the new one
        changes |= {"remote_id": existing.remote_id, "known_as": existing.email, "status": existing.status.value}
    ours = Contact.objects.filter(outbox.holds(claim))
    if existing is not None and existing.status is ContactStatus.DO_NOT_MAIL:
        is_new = bool(_mailed(ours).filter(opt_out_wanted=False).update(**changes))
        if not is_new and not ours.update(**changes):
            raise LeaseLost
        return is_new
    still = ours if local.contact.status == ContactStatus.DO_NOT_MAIL else _mailed(ours)
    if not still.update(**changes):
        if ours.exists():
            raise RemoteConflict("A pull has told of an opt-out since the books were opened.", code="stale")
        raise LeaseLost
    return False


def _wait_for_her(contact: Contact) -> None:
    """Let her finish what she is doing on the site: what is learned after it is dated after it."""
    list(Contact.objects.select_for_update().filter(pk=contact.pk).values_list("pk"))


def _mailed(rows: QuerySet[Contact]) -> QuerySet[Contact]:
    return rows.exclude(status=ContactStatus.DO_NOT_MAIL.value)


def _opt_out_seen(claim: Claim, local: Local, existing: RemoteContact) -> dict[str, object]:
    """Keep the latest opt-out.

    All is said in SQL: an opt-out on the site may have come since the books were opened, and must not be
    lowered or taken for carried out.
    """
    at = _opted_out_at(local, existing)
    later = Q(opted_out_at__isnull=True) | Q(opted_out_at__lt=at)
    ours = _sent_opt_outs().filter(contact=OuterRef("pk"))
    news = later & ~Q(status=ContactStatus.DO_NOT_MAIL.value) & ~Exists(ours)
    # What we sent ourselves comes back with a later time: whose wish it was stands already.
    later &= Q(opted_out_source="") | (~Q(status=ContactStatus.DO_NOT_MAIL.value) & Q(opt_out_wanted=False))
    # A write that is still on its way could bring her back: then it has to be opted out again.
    carried_out = Q(desired_gen=claim.gen) & ~Exists(unclear_writes())
    return {
        "opted_out_seen_at": Case(When(news, then=DatabaseNow()), default=F("opted_out_seen_at")),
        "opted_out_source": Case(When(later, then=Value(OptOutSource.REMOTE.value)), default=F("opted_out_source")),
        "opted_out_at": Greatest(Coalesce(F("opted_out_at"), Value(at)), Value(at)),
        "opt_out_wanted": Case(When(carried_out, then=Value(False)), default=F("opt_out_wanted")),
    }


def _opted_out_at(local: Local, existing: RemoteContact) -> datetime:
    """Return when someone on Do Not Mail opted out. Without a time from the server, the first sight of it is its time.

    Who was seen without it before has opted out after that sight, whatever the server's clock says (and v3 counts
    in whole seconds): her consent from before is older than her opt-out.
    """
    contact, known = local.contact, local.opt_outs.everything
    is_new = contact.status != ContactStatus.DO_NOT_MAIL
    at = existing.opted_out_at or (None if is_new else known) or local.now
    if is_new and contact.status and contact.seen_at:
        at = max(at, contact.seen_at)
    return _after_our_return(contact, at)


def _after_our_return(contact: Contact, seen: datetime) -> datetime:
    """Return when she opted out, but not before a write that had brought her back: she has done it since.

    The two times are of two clocks. Where the server's is behind ours, an opt-out would seem to be older than the
    consent that it undoes.
    """
    back = WriteAttempt.objects.filter(contact=contact, outcome=Outcome.OK.value, consent__isnull=False)
    last = back.aggregate(last=Max("at"))["last"]
    return max(seen, last) if last else seen


def unclear_writes() -> QuerySet[WriteAttempt]:
    return WriteAttempt.objects.filter(contact=OuterRef("pk"), outcome__in=UNKNOWN)


def note_remote_id(claim: Claim, contact: Contact, remote_id: str) -> None:
    """Keep the id under which the server knows an address that a search did not find: she is read by it next."""
    with transaction.atomic():
        free_remote_id(contact, remote_id)
        Contact.objects.filter(outbox.holds(claim)).update(remote_id=remote_id)


def free_remote_id(contact: Contact, remote_id: str) -> bool:
    """Take an id from another row that has it: at Constant Contact the address of that contact was changed.

    What she opted out of under the other address follows the id. Return whether another row had it.
    """
    if contact.remote_id == remote_id:
        return False
    others = Contact.objects.filter(account_id=contact.account_id, remote_id=remote_id).exclude(pk=contact.pk)
    had = list(others.values_list("pk", flat=True))
    for one in had:
        addresses.copy_opt_outs(one, contact.pk)
    Contact.objects.filter(pk__in=had).update(remote_id=None, known_as="")
    return bool(had)


def _record_departures(local: Local, existing: RemoteContact) -> None:
    left = planning.departures(local.base, existing, local.bound)
    source = OptOutSource.REMOTE.value
    record = {"at": _moment(local, existing), "seen_at": DatabaseNow(), "source": source, **NOT_REVIEWED}
    for one in ContactList.objects.filter(account_id=local.contact.account_id, remote_id__in=left):
        ListOptOut.objects.update_or_create(contact=local.contact, list=one, defaults=record)


def _record_returns(local: Local, existing: RemoteContact) -> None:
    """Forget that she left a list which she has joined since, by her own act over there (v1 alone says so)."""
    for remote_id, one in existing.lists.items():
        if remote_id in local.base.returned:
            continue
        if one.source is OptInSource.CONTACT and one.since is not None:
            left = ListOptOut.objects.filter(contact=local.contact, list__remote_id=remote_id, at__lt=one.since)
            left.exclude(source=OptOutSource.OWNER.value).delete()


def write_base(contact: Contact, lists: Mapping[str, Subscription], foreign: frozenset[str]) -> None:
    known = {row.list.remote_id: row for row in contact.remote_memberships.select_related("list")}
    gone = [row.pk for remote_id, row in known.items() if remote_id not in lists]
    if gone:
        RemoteMembership.objects.filter(pk__in=gone).delete()
    for remote_id, subscription in lists.items():
        values = _base_values(subscription, remote_id in foreign)
        row = known.get(remote_id)
        if row is None:
            one, _made = ContactList.objects.get_or_create(account_id=contact.account_id, remote_id=remote_id)
            RemoteMembership.objects.create(contact=contact, list=one, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            RemoteMembership.objects.filter(pk=row.pk).update(**values)


def _base_values(subscription: Subscription, foreign: bool) -> dict[str, object]:
    source = subscription.source.value if subscription.source else ""
    return {"source": source, "since": subscription.since, "foreign": foreign}


def is_behind(account: Account) -> bool:
    """Say whether the account's news is too old to add anybody on. The row was read with ``moment``."""
    return account.pulled_at is None or moment_of(account) - account.pulled_at > CATCH_UP


def pause(account: Account, until: datetime | timedelta, reason: str) -> None:
    """Keep all workers from calling for this account for a while; a longer pause stands."""
    moment = DatabaseNow() + until if isinstance(until, timedelta) else until
    Account.objects.filter(pk=account.pk).update(
        paused_until=Greatest(Coalesce(F("paused_until"), moment), moment), pause_reason=reason[:40]
    )
