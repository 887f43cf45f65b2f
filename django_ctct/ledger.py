"""What the tables know of one contact, read as values for the planner and written after each step.

``services`` drives; this room keeps its books: the wish with its lists, the base, the opt-outs and consents,
the permit and the outcome of each write. It decides nothing and calls nobody. It may import models, outbox,
planning, exceptions and types only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import transaction
from django.db.models import Case, Exists, F, Max, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest

from . import outbox, planning
from .exceptions import RemoteConflict
from .models import (
    ABSENT,
    Account,
    Consent,
    Contact,
    ContactList,
    DatabaseNow,
    ListOptOut,
    Membership,
    RemoteMembership,
    WriteAttempt,
    moment_of,
)
from .outbox import Claim
from .planning import Base, Consented, Create, Desired, ListPolicy, OptOut, OptOuts, Unclear, Update
from .types import (
    ContactStatus,
    OptInSource,
    OptOutSource,
    Outcome,
    Permit,
    RemoteAddition,
    RemoteContact,
    RemoteRemoval,
    Subscription,
    Verb,
)

__all__ = ["LeaseLost", "Local", "absorb", "confirm", "learn", "load", "pause", "permit", "settle"]

#: A write of unknown outcome may still land this long after it was sent.
IN_FLIGHT = outbox.VERIFY_AFTER
#: A consent that a write of unknown outcome rests on may be used again only after this.
QUARANTINE = timedelta(minutes=10)
_UNKNOWN = (Outcome.OPEN.value, Outcome.AMBIGUOUS.value)
#: A permit is given only with this much of the lease left, so that the write ends within it.
LEAST_LEASE = timedelta(seconds=30)
#: A permit is given only this soon after what was read was recorded, and this soon after the books were opened
#: for the reading: what happens over there in between, a write would undo.
FRESH = timedelta(seconds=5)
FRESH_BOOKS = timedelta(seconds=30)


class LeaseLost(Exception):
    """Another worker has taken this contact over: stop, write nothing."""


@dataclass(frozen=True, slots=True)
class Local:
    """All that the tables say about one contact, as values. Lists are named by their remote ids.

    ``now`` is the database's time of reading.
    """

    contact: Contact
    now: datetime
    desired: Desired
    base: Base
    opt_outs: OptOuts
    consents: Mapping[str, Consented]
    managed: Mapping[str, ListPolicy]
    unbound: frozenset[str] = frozenset()


def load(contact_id: int) -> Local:
    """Read a contact's books. The contact's row, and with it the wish number, is read by the claim before."""
    contact = Contact.objects.select_related("account").with_moment().get(pk=contact_id)
    now = moment_of(contact)
    lists = list(ContactList.objects.filter(account_id=contact.account_id, key__isnull=False))
    bound = {one.key: one.remote_id for one in lists}
    # Of a stranger only the lists are ours that she asked about herself.
    asked = set(ListOptOut.objects.filter(contact=contact).values_list("list_id", flat=True))
    keys = set(Membership.objects.filter(contact=contact).values_list("key", flat=True))
    return Local(
        contact=contact,
        now=now,
        desired=Desired(
            lists=frozenset(bound[key] for key in keys if key in bound),
            fields=contact.profile,
            opt_out=contact.opt_out_wanted,
        ),
        base=_base(contact),
        opt_outs=_opt_outs(contact),
        consents=_consents(contact, bound, now),
        managed={one.remote_id: _policy(one) for one in lists if contact.claimed or one.pk in asked},
        unbound=frozenset(keys - bound.keys()),
    )


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
    rows = list(writes.filter(outcome__in=_UNKNOWN))
    if not rows:
        return
    known = list(writes.filter(outcome=Outcome.OK.value, at__gt=rows[0].at).values_list("at", "lists_after"))
    for row in rows:
        expected = set(row.lists_after)
        for at, after in known:
            expected &= set(after) if at > row.at else expected
        kept = expected | (set(row.lists_after) & set(row.lists_before))
        yield Unclear(frozenset(row.lists_before), frozenset(kept), row.observed_updated_at)


def _opt_outs(contact: Contact) -> OptOuts:
    """Return what rules adds out. A departure over there does not, where the list's policy is to put her back."""
    left = ListOptOut.objects.filter(contact=contact).exclude(
        source=OptOutSource.REMOTE.value, list__on_remote_removal=RemoteRemoval.RESTORE.value
    )
    return OptOuts(contact.opted_out_at, dict(left.values_list("list__remote_id", "at")))


def _consents(contact: Contact, bound: Mapping[str | None, str], now: datetime) -> dict[str, Consented]:
    """Return the latest consent for each list. One that a write of unknown outcome rests on is not usable yet."""
    busy = set(_resting(contact, now).values_list("consent", flat=True))
    given = Consent.objects.filter(contact=contact, at__lte=now).order_by("at", "pk").values_list("pk", "key", "at")
    return {bound[key]: Consented(pk, at, pk not in busy) for pk, key, at in given if key in bound}


def _resting(contact: Contact, now: datetime) -> QuerySet[WriteAttempt]:
    """Return the unclear writes of late that rest on a consent."""
    unclear = (*_UNKNOWN, Outcome.VERIFIED.value)
    recent = WriteAttempt.objects.filter(contact=contact, outcome__in=unclear, at__gte=now - QUARANTINE)
    return recent.filter(consent__isnull=False)


def absorb(claim: Claim, local: Local, existing: RemoteContact | None) -> Local:
    """Record what the remote says before anything is written, so that a crash from here on knows it.

    Opt-outs come first: Do Not Mail, then single lists that the contact left. Raise ``LeaseLost`` when the
    contact is no longer ours.
    """
    with transaction.atomic():
        _close_landed(local)
        _observe(claim, local, existing)
        if existing is None:
            _write_base(local.contact, {}, frozenset())
        else:
            foreign = planning.additions(local.desired, local.base, existing)
            _record_departures(local, existing)
            _write_base(local.contact, existing.lists, foreign)
    return learn(local, existing)


def learn(local: Local, existing: RemoteContact | None) -> Local:
    """Return the books with the opt-outs that a reading tells of. It writes nothing: a preview needs it too."""
    if existing is None:
        return local
    opt_outs, moment = local.opt_outs, _moment(local, existing)
    everything = opt_outs.everything
    if existing.status is ContactStatus.DO_NOT_MAIL:
        seen = existing.opted_out_at or everything or moment
        everything = max(seen, everything) if everything else seen
    left = planning.departures(local.base, existing, local.managed)
    return replace(local, opt_outs=OptOuts(everything, {**opt_outs.lists, **dict.fromkeys(left, moment)}))


def _moment(local: Local, existing: RemoteContact) -> datetime:
    """Return when something that the reading shows happened at the latest."""
    return existing.updated_at or local.now


def _close_landed(local: Local) -> None:
    """What was sent so long before this reading has landed by now or never will."""
    WriteAttempt.objects.filter(contact=local.contact, outcome__in=_UNKNOWN, at__lt=local.now - IN_FLIGHT).update(
        outcome=Outcome.VERIFIED.value
    )


def _observe(claim: Claim, local: Local, existing: RemoteContact | None) -> None:
    changes: dict[str, object] = {"seen_at": DatabaseNow()}
    if existing is None:
        changes |= {"remote_id": None, "status": ""}
    else:
        _free_remote_id(local.contact, existing.remote_id)
        changes |= {"remote_id": existing.remote_id, "status": existing.status.value}
        if existing.status is ContactStatus.DO_NOT_MAIL:
            changes |= _opt_out_seen(claim, local, existing)
    if not Contact.objects.filter(outbox.holds(claim)).update(**changes):
        raise LeaseLost


def _opt_out_seen(claim: Claim, local: Local, existing: RemoteContact) -> dict[str, object]:
    """Keep the latest opt-out. Without a time from the server, the first sight of it is its time.

    All is said in SQL: an opt-out on the site may have come since the books were opened, and must not be
    lowered or taken for carried out.
    """
    at = existing.opted_out_at or local.opt_outs.everything or local.now
    later = Q(opted_out_at__isnull=True) | Q(opted_out_at__lt=at)
    if existing.opted_out_source is OptInSource.SITE:
        later &= Q(opted_out_source="")  # The API opted out in our name; whose wish that was stands already.
    # A write that is still on its way could bring her back: then it has to be opted out again.
    carried_out = Q(desired_gen=claim.gen) & ~Exists(_unclear_writes())
    return {
        "opted_out_source": Case(When(later, then=Value(OptOutSource.REMOTE.value)), default=F("opted_out_source")),
        "opted_out_at": Greatest(Coalesce(F("opted_out_at"), Value(at)), Value(at)),
        "opt_out_wanted": Case(When(carried_out, then=Value(False)), default=F("opt_out_wanted")),
    }


def _unclear_writes() -> QuerySet[WriteAttempt]:
    return WriteAttempt.objects.filter(contact=OuterRef("pk"), outcome__in=_UNKNOWN)


def _free_remote_id(contact: Contact, remote_id: str) -> None:
    """Take an id from another row that has it: at Constant Contact the address of that contact was changed."""
    if contact.remote_id != remote_id:
        others = Contact.objects.filter(account_id=contact.account_id, remote_id=remote_id).exclude(pk=contact.pk)
        others.update(remote_id=None)


def _record_departures(local: Local, existing: RemoteContact) -> None:
    left = planning.departures(local.base, existing, local.managed)
    record = {"at": _moment(local, existing), "source": OptOutSource.REMOTE.value}
    for one in ContactList.objects.filter(account_id=local.contact.account_id, remote_id__in=left):
        ListOptOut.objects.update_or_create(contact=local.contact, list=one, defaults=record)


def _write_base(contact: Contact, lists: Mapping[str, Subscription], foreign: frozenset[str]) -> None:
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


def permit(claim: Claim, local: Local, existing: RemoteContact | None, plan: Create | Update | OptOut) -> Permit:
    """Commit the journal row of a write and return the right to make it.

    The database refuses (``IntegrityError``) an add for someone who opted out. Raise ``LeaseLost`` when the
    contact is no longer ours, or not for long enough, and ``RemoteConflict`` when the plan is out of date:
    the reading is too old, or a newer wish has come, which may be an opt-out.
    """
    attempt = _attempt(claim, local, existing, plan)
    with transaction.atomic():
        ours = Contact.objects.filter(outbox.holds(claim), lease_until__gt=DatabaseNow() + LEAST_LEASE)
        if not ours.update(seen_at=F("seen_at")):
            raise LeaseLost
        _refuse_stale(claim, local)
        attempt.save(force_insert=True)
    return Permit(
        attempt=attempt.pk,
        verb=Verb(attempt.verb),
        email=local.contact.email,
        lists=frozenset(attempt.lists_after),
        fields={} if isinstance(plan, OptOut) else plan.fields,
        source=OptInSource(attempt.source),
    )


def _refuse_stale(claim: Claim, local: Local) -> None:
    row = Contact.objects.with_moment().get(pk=claim.contact_id)
    now, seen = moment_of(row), row.seen_at
    if seen is None or now - seen > FRESH or now - local.now > FRESH_BOOKS:
        raise RemoteConflict("The reading was too old to write on.", code="stale")
    if row.desired_gen != claim.gen:
        raise RemoteConflict("A newer wish has come meanwhile.", code="newer_wish")


def _attempt(
    claim: Claim, local: Local, existing: RemoteContact | None, plan: Create | Update | OptOut
) -> WriteAttempt:
    before = existing.lists.keys() if existing else frozenset()
    consent = None if isinstance(plan, OptOut) else plan.consent
    return WriteAttempt(
        id=uuid4(),
        contact=local.contact,
        verb=_verb(plan).value,
        gen=claim.gen,
        at=DatabaseNow(),
        observed_status=_observed_status(local, existing),
        observed_opted_out_at=local.opt_outs.everything,
        observed_updated_at=existing.updated_at if existing else None,
        lists_before=sorted(before),
        lists_after=[] if isinstance(plan, OptOut) else sorted(plan.lists),
        fields=[] if isinstance(plan, OptOut) else sorted(plan.fields),
        adds=not isinstance(plan, OptOut) and bool(plan.adds),
        source=(OptInSource.SITE if isinstance(plan, OptOut) else plan.source).value,
        consent_id=consent.consent if consent else None,
        consent_at=consent.at if consent else None,
    )


def _verb(plan: Create | Update | OptOut) -> Verb:
    if isinstance(plan, Create):
        return Verb.CREATE
    return Verb.UPDATE if isinstance(plan, Update) else Verb.OPT_OUT


def _observed_status(local: Local, existing: RemoteContact | None) -> str:
    """Return the status that the guard judges. An opt-out that we alone know of counts like the server's."""
    opted_out = local.opt_outs.everything is not None
    if local.desired.opt_out or (existing is None and opted_out):
        return ContactStatus.DO_NOT_MAIL.value
    return existing.status.value if existing else ABSENT


def settle(attempt: Permit, outcome: Outcome, *, code: str = "") -> None:
    """Record how a write ended."""
    WriteAttempt.objects.filter(pk=attempt.attempt).update(
        outcome=outcome.value, ended_at=DatabaseNow(), error_code=code[:40]
    )


def _wait_for_consents(local: Local) -> None:
    """Look again when a consent that an unclear write rests on may be used: until then her wish is withheld."""
    last = _resting(local.contact, local.now).aggregate(last=Max("at"))["last"]
    again = Value(last + QUARANTINE)
    Contact.objects.filter(pk=local.contact.pk).update(
        due_at=Coalesce(F("due_at"), again), verify_at=Greatest(Coalesce(F("verify_at"), again), again)
    )


def confirm(
    claim: Claim,
    local: Local,
    written: Permit | None,
    after: RemoteContact | None,
    *,
    refusal: str = "",
    withheld: frozenset[str] = frozenset(),
) -> bool:
    """Record that the wish is confirmed: outcome, base and queue in one transaction.

    ``withheld`` are the wished lists that she may not be on. Return False when the claim was lost meanwhile;
    then the write counts as ambiguous.
    """
    with transaction.atomic():
        ours = outbox.done(claim, refusal=refusal)
        if ours and any(one in local.consents and not local.consents[one].usable for one in withheld):
            _wait_for_consents(local)
        if written is None:
            return ours
        settle(written, Outcome.OK if ours else Outcome.AMBIGUOUS)
        if ours:
            _record_write(local, written, after)
    return ours


def _record_write(local: Local, written: Permit, after: RemoteContact | None) -> None:
    if written.verb is Verb.OPT_OUT:
        status = ContactStatus.DO_NOT_MAIL
    else:
        status = ContactStatus.ACTIVE if written.lists else ContactStatus.REMOVED
    changes: dict[str, object] = {"status": (after.status if after else status).value}
    if written.verb is Verb.OPT_OUT:
        changes["opt_out_wanted"] = Exists(_unclear_writes())
    if after is not None:
        _free_remote_id(local.contact, after.remote_id)
        changes["remote_id"] = after.remote_id
    Contact.objects.filter(pk=local.contact.pk).update(**changes)
    _write_base(local.contact, _lists_after(local, written, after), local.base.foreign & written.lists)


def _lists_after(local: Local, written: Permit, after: RemoteContact | None) -> Mapping[str, Subscription]:
    if after is not None:
        return after.lists
    known = {
        row.list.remote_id: Subscription(OptInSource(row.source) if row.source else None, row.since)
        for row in local.contact.remote_memberships.select_related("list")
    }
    return {one: known.get(one, Subscription(written.source)) for one in written.lists}


def pause(account: Account, until: datetime | timedelta, reason: str) -> None:
    """Keep all workers from calling for this account for a while; a longer pause stands."""
    moment = DatabaseNow() + until if isinstance(until, timedelta) else until
    Account.objects.filter(pk=account.pk).update(
        paused_until=Greatest(Coalesce(F("paused_until"), moment), moment), pause_reason=reason[:40]
    )
