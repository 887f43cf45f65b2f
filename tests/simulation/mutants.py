"""Wrong designs, planted one at a time: each must be found by the simulator within a stated number of seeds.

Each is what someone might reasonably have built. They are planted by replacing one function of the package
with its wrong twin, in the process that runs the seeds, and nowhere else. Nothing of ours is patched in any other
test; here it is the purpose, because a simulator that no wrong design can fail would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

from django.db.models import F

from django_ctct import addresses, drain, ledger, outbox, permits, planning, pull, services
from django_ctct.exceptions import AmbiguousWrite, MalformedResponse, RateLimited
from django_ctct.models import Contact, DatabaseNow, Hold, ListOptOut, WriteAttempt
from django_ctct.outbox import Failure
from django_ctct.types import ContactStatus, OptInSource, Outcome

__all__ = ["MUTANTS"]


@contextmanager
def planted(*wrong: tuple[Any, str, Any]) -> Iterator[None]:
    patches = [mock.patch.object(room, name, twin) for room, name, twin in wrong]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def clear_before_work() -> Any:
    """The row is marked clean when it is claimed, so what dies in between is forgotten."""
    right = outbox.claim

    def claim(contact_id: int) -> Any:
        taken = right(contact_id)
        if taken:
            Contact.objects.filter(pk=contact_id).update(
                applied_gen=F("desired_gen"), due_at=None, lease_token=None, lease_until=None, verify_at=None
            )
        return taken

    return planted((outbox, "claim", claim), (outbox, "holds", _holds_nothing))


def _holds_nothing(claim: Any) -> Any:
    from django.db.models import Q

    return Q(pk=claim.contact_id)


def dirty_boolean() -> Any:
    """Done means clean, whatever was wished meanwhile."""
    right = outbox.done

    def done(claim: Any, *, refusal: str = "") -> bool:
        return right(replace(claim, gen=_latest(claim)), refusal=refusal)

    return planted((outbox, "done", done))


def no_wish_numbers() -> Any:
    """A row is dirty or clean, and no more: no permit asks whether a newer wish has come, and done means clean."""
    refuse = permits._refuse_stale

    def refuse_stale(claim: Any, local: Any) -> None:
        refuse(replace(claim, gen=_latest(claim)), local)

    right = outbox.done

    def done(claim: Any, *, refusal: str = "") -> bool:
        return right(replace(claim, gen=_latest(claim)), refusal=refusal)

    return planted((permits, "_refuse_stale", refuse_stale), (outbox, "done", done))


def _latest(claim: Any) -> int:
    latest = Contact.objects.filter(pk=claim.contact_id).values_list("desired_gen", flat=True).first()
    return latest or claim.gen


def no_sweep() -> Any:
    """Only a message starts work: a lost one is lost."""
    from . import run

    return planted((run._Site, "_sweep", lambda self: None), (run._Site, "_walk_all", lambda self: None))


def no_verify() -> Any:
    """A write without an answer is repeated, but never verified once it can no longer land."""
    return planted((outbox, "VERIFY_AFTER", timedelta(0)), (ledger, "IN_FLIGHT", timedelta(seconds=150)))


def timeout_is_success() -> Any:
    """A write without an answer counts as done."""
    right = services._send

    def send(backend: Any, permit: Any, existing: Any, plan: Any) -> Any:
        try:
            return right(backend, permit, existing, plan)
        except AmbiguousWrite:
            return None

    return planted((services, "_send", send))


def redirect_is_success() -> Any:
    """A write that was answered by a redirect counts as done: the request that followed it wrote nothing."""
    right = services._send

    def send(backend: Any, permit: Any, existing: Any, plan: Any) -> Any:
        try:
            return right(backend, permit, existing, plan)
        except MalformedResponse:
            return None

    return planted((services, "_send", send))


def too_many_is_final() -> Any:
    """A refused call for its frequency holds the contact."""
    right = services._failure

    def failure(claim: Any, error: Any) -> Failure:
        if isinstance(error, RateLimited):
            return Failure("too_many", "held", hold=Hold.REJECTED)
        return right(claim, error)

    return planted((services, "_failure", failure))


def unmanaged_wiped() -> Any:
    """The write names the site's own lists only."""

    def target(effective: Any, existing: Any, managed: Any, kept: Any = frozenset()) -> Any:
        return effective | kept

    return planted((planning, "_target", target))


def no_guard() -> Any:
    """What the site wants is what is written."""
    return planted((planning, "_effective", lambda wanted, *_: wanted), (planning, "_earliest", _no_consent))


def _no_consent(effective: Any, consents: Any) -> Any:
    return next(iter(consents.values()), None)


def guard_on_our_state_only() -> Any:
    """The opt-out is looked up in our tables, before the read has brought the news."""

    def absorb(claim: Any, local: Any, existing: Any) -> Any:
        return local

    right = services._plan

    def plan(local: Any, existing: Any) -> Any:
        if existing is not None and existing.status is ContactStatus.DO_NOT_MAIL:
            existing = replace(existing, status=ContactStatus.REMOVED)
        return right(local, existing)

    return planted((ledger, "absorb", absorb), (services, "_plan", plan))


def consent_without_time() -> Any:
    """Any consent outweighs any opt-out."""
    return planted((planning, "_consented", lambda one, existing, opt_outs, consents: one in consents))


def consent_for_all_lists() -> Any:
    """A consent for one list is taken for all of them."""
    right = ledger._consents

    def consents(contact: Any, bound: Any, now: Any) -> Any:
        found = right(contact, bound, now)
        latest = max(found.values(), key=lambda one: one.at, default=None)
        return dict.fromkeys(bound.values(), latest) if latest else {}

    return planted((ledger, "_consents", consents))


def always_her_own_act() -> Any:
    """Every write claims to be the person's own act, so the server refuses none."""
    right = permits.permit

    def permit(*given: Any) -> Any:
        return replace(right(*given), source=OptInSource.CONTACT)

    return planted((permits, "permit", permit))


def no_merge() -> Any:
    """The site's wish always wins: who left a list is put back on it."""
    return planted((planning, "departures", lambda *_: frozenset()))


def no_journal() -> Any:
    """What a write of unknown outcome may have done is not remembered."""
    return planted((ledger, "_unclear", lambda *_: ()))


def no_quarantine() -> Any:
    """A consent that a write of unknown outcome rests on is used again at once."""
    return planted((ledger, "resting", lambda *_: WriteAttempt.objects.none()))


def journal_ends_with_do_not_mail() -> Any:
    """Once she is on Do Not Mail, nobody expects a write of ours any more that is still on its way."""
    right = ledger._opt_out_seen

    def seen(claim: Any, local: Any, existing: Any) -> Any:
        unclear = WriteAttempt.objects.filter(contact=local.contact, outcome__in=ledger.UNKNOWN)
        unclear.update(outcome=Outcome.VERIFIED.value)
        return right(claim, local, existing)

    return planted((ledger, "_opt_out_seen", seen))


def leaving_is_forgotten() -> Any:
    """A departure counts for one reconcile only."""

    def forget(local: Any, existing: Any) -> None:
        ListOptOut.objects.filter(contact=local.contact, source="remote").delete()

    return planted((ledger, "_record_departures", forget))


def no_lease_and_no_verify() -> Any:
    """Any number of workers take the same contact."""
    right = outbox._claimable

    def claimable() -> Any:
        Contact.objects.filter(lease_until__isnull=False).update(lease_token=None, lease_until=None)
        return right()

    return planted((outbox, "_claimable", claimable), (outbox, "VERIFY_AFTER", timedelta(0)))


def lease_without_end() -> Any:
    """A dead worker keeps its claim."""
    return planted((outbox, "LEASE", timedelta(days=1)))


def payload_in_the_message() -> Any:
    """The worker does what the message said when it was sent: a wish that came later is not read."""
    seen: dict[int, Any] = {}
    right = ledger.load

    def load(contact_id: int, names: Any) -> Any:
        fresh = right(contact_id, names)
        first = seen.setdefault(fresh.contact.pk, (fresh.contact.wished_at, fresh.desired))
        if first[0] == fresh.contact.wished_at:
            return replace(fresh, desired=replace(first[1], opt_out=fresh.desired.opt_out))
        seen[contact_id] = (fresh.contact.wished_at, fresh.desired)
        return fresh

    return planted((ledger, "load", load))


def cached_read() -> Any:
    """The contact is read once and remembered."""
    seen: dict[str, Any] = {}
    right = services._read

    def read(link: Any, local: Any) -> Any:
        key = f"{id(link.backend.world)}:{local.contact.email}"
        if key not in seen:
            seen[key] = right(link, local)
        return seen[key]

    return planted((services, "_read", read))


def zombie_says_done() -> Any:
    """A worker that lost its claim records its success all the same."""

    def held_by(claim: Any) -> Any:
        return Contact.objects.filter(pk=claim.contact_id)

    def no_look_back(*given: Any) -> bool:
        return True

    return planted(
        (outbox, "_held_by", held_by), (outbox, "VERIFY_AFTER", timedelta(0)), (permits, "FRESH", timedelta(days=1))
    )


def gives_up() -> Any:
    """After three tries a change is dropped."""
    right = outbox.fail

    def fail(claim: Any, failure: Failure) -> bool:
        if claim.attempts >= 3:
            return outbox.done(claim)
        return right(claim, failure)

    return planted((outbox, "fail", fail))


def opt_out_by_rule() -> Any:
    """Leaving the last list is sent as an opt-out."""
    right = planning._plan_present

    def plan_present(*given: Any) -> Any:
        made = right(*given)
        if isinstance(made, planning.Update) and not made.lists:
            return planning.OptOut()
        return made

    return planted((planning, "_plan_present", plan_present))


def permit_on_an_old_wish() -> Any:
    """A write is permitted although a newer wish, perhaps an opt-out, has come."""
    return planted((permits, "_refuse_stale", lambda *_: None))


def opt_out_lowered() -> Any:
    """What the server says of an opt-out replaces what the site knows, later or not."""
    right = ledger._opt_out_seen

    def seen(claim: Any, local: Any, existing: Any) -> Any:
        changes = right(claim, local, existing)
        return {**changes, "opted_out_at": existing.opted_out_at or local.now, "opt_out_wanted": False}

    return planted((ledger, "_opt_out_seen", seen))


def news_is_forgotten() -> Any:
    """A feed's news is counted and nobody is read again for it."""
    return planted((outbox, "look_again", lambda contact_ids, priority=None: len(list(contact_ids))))


def adds_do_not_wait_for_news() -> Any:
    """After a restore the site goes on as if it knew what happened meanwhile."""

    def is_behind(account: Any) -> bool:
        return False

    return planted((ledger, "is_behind", is_behind), (drain, "is_behind", is_behind))


def sent_before_approval() -> Any:
    """That all contacts were read is taken for somebody's having read the plan."""
    right = pull._first_marks

    def first_marks(account: Any, *given: Any) -> dict[str, object]:
        marks = right(account, *given)
        return {**marks, "approved_at": DatabaseNow()} if marks else marks

    return planted((pull, "_first_marks", first_marks))


def walk_ends_unseen() -> Any:
    """A full pull counts whom it met, and does not ask whom it has not met."""
    return planted((pull, "end_walk", lambda *_, **__: 0))


def opt_outs_stay_behind() -> Any:
    """What she opted out of at one address does not count for the next one."""
    return planted((addresses, "copy_opt_outs", lambda *_: None))


#: name → how to plant it. The number of seeds that each needs stands in the docs and is asserted in the tests.
MUTANTS: dict[str, Callable[[], Any]] = {
    one.__name__: one
    for one in (
        clear_before_work,
        dirty_boolean,
        no_wish_numbers,
        no_sweep,
        no_verify,
        timeout_is_success,
        redirect_is_success,
        too_many_is_final,
        unmanaged_wiped,
        no_guard,
        guard_on_our_state_only,
        consent_without_time,
        consent_for_all_lists,
        always_her_own_act,
        no_merge,
        no_journal,
        no_quarantine,
        journal_ends_with_do_not_mail,
        leaving_is_forgotten,
        no_lease_and_no_verify,
        lease_without_end,
        payload_in_the_message,
        cached_read,
        zombie_says_done,
        gives_up,
        opt_out_by_rule,
        permit_on_an_old_wish,
        opt_out_lowered,
        news_is_forgotten,
        adds_do_not_wait_for_news,
        sent_before_approval,
        walk_ends_unseen,
        opt_outs_stay_behind,
    )
}
