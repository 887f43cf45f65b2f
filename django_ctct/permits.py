"""The right to make one write, and what became of it.

A permit is a journal row that is committed before the write is sent; the database refuses one that would put back
who has opted out. ``confirm`` is the other end: the outcome, the base and the queue in one transaction. Only
``services`` asks for one. This room decides nothing and calls nobody; it may import ledger, former, models, outbox,
planning, exceptions and types only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, Max, Value
from django.db.models.functions import Coalesce, Greatest

from . import former, ledger, outbox
from .exceptions import RemoteConflict
from .ledger import LeaseLost, Local
from .models import ABSENT, Account, Contact, DatabaseNow, WriteAttempt, moment_of
from .outbox import Claim
from .planning import Create, OptOut, Update
from .types import ContactStatus, OptInSource, OptOutSource, Outcome, Permit, RemoteContact, Subscription, Verb

__all__ = ["FRESH", "LEAST_LEASE", "confirm", "permit", "settle"]

#: A permit is given only with this much of the lease left, so that the write ends within it.
LEAST_LEASE = timedelta(seconds=30)
#: A permit is given only this soon after what was read was recorded, and this soon after the books were opened
#: for the reading: what happens over there in between, a write would undo.
FRESH = timedelta(seconds=5)
FRESH_BOOKS = timedelta(seconds=30)


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
        _refuse_unready(local, attempt)
        attempt.save()
    return Permit(
        attempt=attempt.pk,
        verb=Verb(attempt.verb),
        email=_address_after(local, existing, plan),
        lists=frozenset(attempt.lists_after),
        fields={} if isinstance(plan, OptOut) else plan.fields,
        source=_source(local, plan),
    )


def _address_after(local: Local, existing: RemoteContact | None, plan: Create | Update | OptOut) -> str:
    if existing is None:
        return local.contact.email
    return (plan.address if isinstance(plan, Update) else "") or existing.email


def _source(local: Local, plan: Create | Update | OptOut) -> OptInSource:
    """Say in whose name a write is made. An opt-out that she asked for is hers: the account may not undo it then."""
    if not isinstance(plan, OptOut):
        return plan.source
    hers = local.contact.opted_out_source == OptOutSource.SITE.value
    return OptInSource.CONTACT if hers else OptInSource.SITE


def _refuse_stale(claim: Claim, local: Local) -> None:
    row = Contact.objects.with_moment().get(pk=claim.contact_id)
    now, seen = moment_of(row), row.seen_at
    if seen is None or now - seen > FRESH or now - local.now > FRESH_BOOKS:
        raise RemoteConflict("The reading was too old to write on.", code="stale")
    if row.desired_gen != claim.gen:
        raise RemoteConflict("A newer wish has come meanwhile.", code="newer_wish")
    known = local.opt_outs.everything
    if row.opted_out_at is not None and (known is None or row.opted_out_at > known):
        raise RemoteConflict("A pull has told of an opt-out meanwhile.", code="stale")


def _refuse_unready(local: Local, attempt: WriteAttempt) -> None:
    """Send nothing but opt-outs before the plan was approved, and no add while the account's news is old."""
    if attempt.verb == Verb.OPT_OUT.value:
        return
    account = Account.objects.afresh(local.contact.account_id)
    if account.approved_at is None:
        raise RemoteConflict("Nothing is sent before the plan is approved.", code="not_approved")
    if attempt.adds and ledger.is_behind(account):
        raise RemoteConflict("Adds wait until the account's news is read.", code="behind")


def _attempt(
    claim: Claim, local: Local, existing: RemoteContact | None, plan: Create | Update | OptOut
) -> WriteAttempt:
    before = existing.lists.keys() if existing else frozenset()
    consent = None if isinstance(plan, OptOut) else plan.consent
    return WriteAttempt(
        contact=local.contact,
        verb=_verb(plan).value,
        gen=claim.gen,
        at=DatabaseNow(),
        observed_status=_observed_status(local, existing),
        observed_opted_out_at=local.opt_outs.known,
        observed_updated_at=existing.stamp if existing else None,
        lists_before=sorted(before),
        lists_after=[] if isinstance(plan, OptOut) else sorted(plan.lists),
        fields=_fields_set(plan),
        adds=not isinstance(plan, OptOut) and bool(plan.adds),
        source=(OptInSource.SITE if isinstance(plan, OptOut) else plan.source).value,
        consent_id=consent.consent if consent else None,
        consent_at=consent.at if consent else None,
    )


def _fields_set(plan: Create | Update | OptOut) -> list[str]:
    if isinstance(plan, OptOut):
        return []
    moved = ["email"] if isinstance(plan, Update) and plan.address else []
    return [*moved, *sorted(plan.fields)]


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
    last = ledger.resting(local.contact, local.now).aggregate(last=Max("at"))["last"]
    again = Value(last + ledger.QUARANTINE)
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
    known_as: str = "",
) -> bool:
    """Record that the wish is confirmed: outcome, base and queue in one transaction.

    ``withheld`` are the wished lists that she may not be on; ``known_as`` is her address over there, where it is not
    the one that was wished. Return False when the claim was lost meanwhile;
    then the write counts as ambiguous.
    """
    with transaction.atomic():
        ours = outbox.done(claim, refusal=refusal)
        if ours and any(one in local.consents and not local.consents[one].usable for one in withheld):
            _wait_for_consents(local)
        if written is not None:
            settle(written, Outcome.OK if ours else Outcome.AMBIGUOUS)
        if written is not None and ours:
            _record_write(local, written, after)
        if ours and not known_as:
            former.forget(claim, local)
    return ours


def _record_write(local: Local, written: Permit, after: RemoteContact | None) -> None:
    if written.verb is Verb.OPT_OUT:
        status = ContactStatus.DO_NOT_MAIL
    else:
        status = ContactStatus.ACTIVE if written.lists else ContactStatus.REMOVED
    changes: dict[str, object] = {"status": (after.status if after else status).value, "known_as": written.email}
    if written.verb is Verb.OPT_OUT:
        changes["opt_out_wanted"] = Exists(ledger.unclear_writes())
    if after is not None:
        ledger.free_remote_id(local.contact, after.remote_id)
        changes["remote_id"] = after.remote_id
    Contact.objects.filter(pk=local.contact.pk).update(**changes)
    ledger.write_base(local.contact, _lists_after(local, written, after), local.base.foreign & written.lists)


def _lists_after(local: Local, written: Permit, after: RemoteContact | None) -> Mapping[str, Subscription]:
    if after is not None:
        return after.lists
    rows = local.contact.remote_memberships
    known = {
        one: Subscription(OptInSource(source) if source else None, since)
        for one, source, since in rows.values_list("list__remote_id", "source", "since")
    }
    return {one: known.get(one, Subscription(written.source)) for one in written.lists}
