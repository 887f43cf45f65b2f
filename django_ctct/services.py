"""The remote half: bring Constant Contact to what the rows say, one contact at a time.

``reconcile`` is the whole trip of one change: claim, read, absorb, plan, permit, write, done. Around it stand
the acts of people: opting out, leaving a list, coming back, binding a list to a key. This room knows the
wires by their verbs only and the site not at all; it may import models, outbox, ledger, former, permits,
planning, backends, quota, tokens, environment, signals, conf, types and exceptions.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import DatabaseError, IntegrityError, InterfaceError
from django.db.models import Q
from django.dispatch import Signal

from . import conf, environment, former, ledger, outbox, permits, planning, signals, tokens, vault
from .backends.base import BaseBackend
from .exceptions import (
    AmbiguousWrite,
    AuthenticationFailed,
    CtctError,
    ListNotBound,
    QuotaExhausted,
    RateLimited,
    RemoteConflict,
    RemoteError,
    RequestRejected,
)
from .ledger import LeaseLost, Local
from .models import Account, Contact, ContactList, DatabaseNow, Hold, Refusal
from .outbox import Claim, Failure
from .planning import Create, Nothing, OptOut, Plan, Refuse, Update
from .quota import LONGEST_WAIT, AccountGate
from .tokens import TokenStore
from .types import ContactStatus, OptOutSource, Outcome, Permit, Priority, RemoteContact, Subscription

__all__ = ["Link", "Preview", "Result", "connect", "forecast", "preview", "reconcile", "slow_down", "waits_for_move"]

logger = logging.getLogger(__name__)

#: After refused credentials nobody calls for this long; then one try finds out whether they were put right.
AUTH_PAUSE = timedelta(minutes=15)
#: A refused request is tried once more from a fresh read before the contact is held.
TRIES_BEFORE_HOLD = 2
#: A deleted contact of v3 gets no mail, and cannot be written without being revived: her return is news of the pull.
DELETED_DELAY = timedelta(days=1)
#: How long a change waits where nothing may be sent yet; approval and a pull end the wait.
UNREADY_DELAY = timedelta(minutes=5)
#: How long a changed address waits at a time while a write may still land that nobody knows the end of.
UNCLEAR_DELAY = timedelta(seconds=30)
#: How long a write may wait for its slot (seconds): what was read grows old meanwhile.
WRITE_PATIENCE = 3.0
#: A write that is not on its way so soon after its permit was asked for is not sent (seconds): the process slept.
SEND_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Link:
    """An open way to one account."""

    account: Account
    backend: BaseBackend
    gate: AccountGate
    tokens: TokenStore | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile came to. Neither plan nor error: the contact was not due, or another worker has it."""

    contact_id: int
    plan: Plan | None = None
    error: CtctError | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a reconcile would do, with the two sides it compared. Nothing was written of her, here or there."""

    contact: Contact
    local: Local
    existing: RemoteContact | None
    plan: Plan


@contextmanager
def connect(alias: str) -> Iterator[Link]:
    """Open the way to an account of ``CTCT["ACCOUNTS"]``; there is no other way.

    Raise ``ConfigurationError`` when it is not usable, and ``CopyDetected`` when this is not the place where the
    account was connected: so a copy of the database reads, writes and renews nothing.
    """
    settings = conf.account(alias)
    by_consent = tokens.uses_consent(settings)
    account = Account.objects.for_alias(alias)
    environment.check(account)
    with ExitStack() as stack:
        store = TokenStore(account, tokens.oauth_client(settings)) if by_consent else None
        if store is not None:
            stack.callback(store.close)
        gate = AccountGate(settings)
        backend: BaseBackend = tokens.wire(settings)(settings.options, gate=gate, tokens=store)
        backend.memory.update(account.wire_memory)
        stack.callback(_remember, account, backend)
        stack.callback(backend.close)
        yield Link(account, backend, gate, store)


def _remember(account: Account, backend: BaseBackend) -> None:
    """Keep what the wire has learned. Without a database it is learned again."""
    if backend.memory != account.wire_memory:
        with suppress(DatabaseError, InterfaceError):
            Account.objects.filter(pk=account.pk).update(wire_memory=backend.memory)


def waits_for_move(account: Account, wire: type[BaseBackend]) -> bool:
    """Say whether the account still has to be moved to this wire (``ctct_move``): until then nobody is looked at."""
    lists = ContactList.objects.filter(account=account)
    bound = lists.filter(key__isnull=False)
    # Bound anew by hand, a list's old row still holds who was on it and who has left it.
    known = Q(opt_outs__isnull=False) | Q(remote_memberships__isnull=False)
    waiting = lists.filter(known, key__isnull=True, name__in=bound.exclude(name="").values("name")).distinct()
    ids = [*bound.values_list("remote_id", flat=True), *waiting.values_list("remote_id", flat=True)]
    return not all(map(wire.is_own_id, ids))


def reconcile(link: Link, contact_id: int) -> Result:
    """Bring one due contact to its wish with at most one write. What goes wrong ends in the row, not here."""
    claim = outbox.claim(contact_id)
    if claim is None:
        return Result(contact_id)
    try:
        plan = _work(link, claim)
    except LeaseLost:
        logger.warning("contact %s: the lease was lost, another worker goes on", contact_id)
        return Result(contact_id)
    except CtctError as error:
        return _failed(link, claim, error)
    except Exception as error:  # noqa: BLE001 - one contact's bug must not keep all the others waiting
        return _failed(link, claim, CtctError(f"{type(error).__name__} at {_place(error)}"))
    logger.info("contact %s: %s", contact_id, type(plan).__name__.lower())
    _announce(contact_id, plan)
    return Result(contact_id, plan)


def preview(link: Link, contact_id: int) -> Preview:
    """Say what a reconcile would do now. It reads, and writes nothing of her, here or there."""
    local = _checked(link, ledger.load(contact_id, vault.address_hashes))
    existing = _read(link, local)
    local = ledger.learn(local, existing)
    if existing is not None and existing.email != local.contact.email:
        local, existing = _parted(local, existing, _find(link, local.contact.email))
    return Preview(local.contact, local, existing, _plan(local, existing))


def forecast(contact_id: int) -> Preview:
    """Say what a reconcile would do, going by what the last pull told: no request is made.

    A pull tells no fields, so none are compared; what happened over there since, the reconcile will see.
    """
    local = ledger.load(contact_id, vault.address_hashes)
    existing = _as_last_told(local)
    if existing is not None and existing.email != local.contact.email:
        local, existing = _parted(local, existing, None)
    return Preview(local.contact, local, existing, _plan(local, existing))


def _as_last_told(local: Local) -> RemoteContact | None:
    contact = local.contact
    if contact.remote_id is None or not contact.status:
        return None
    lists = dict.fromkeys(sorted(local.base.lists), Subscription())
    status, email = ContactStatus(contact.status), contact.known_as or contact.email
    return RemoteContact(contact.remote_id, email, status, lists, local.desired.fields, contact.opted_out_at)


def _parted(local: Local, existing: RemoteContact, other: RemoteContact | None) -> tuple[Local, RemoteContact | None]:
    """Return what a contact found under a former address comes to for a preview; see ``_follow``."""
    if not planning.parts(local.desired, existing, other, barred=local.barred):
        return local, existing
    return ledger.learn(replace(local, base=planning.Base(), consents={}), other), other


def _work(link: Link, claim: Claim) -> Plan:
    claim, local = _opened(link, claim)
    link.gate.lane, link.gate.patience = Priority(local.contact.priority), LONGEST_WAIT
    link.gate.begun()  # no write's limit of the contact before
    existing = _read(link, local)
    _answered(link)
    local = ledger.absorb(claim, local, existing)
    if local.opted_out:
        _tell(signals.contact_opted_out, claim.contact_id, source=OptOutSource.REMOTE)
    claim, local = _follow(link, claim, local, existing)
    plan = _plan(local, existing)
    if existing is None and not isinstance(plan, Create):
        link.backend.assure_absent(local.contact.email)  # a create would find out by itself
    written, after = None, None
    if isinstance(plan, (Create, Update, OptOut)):
        written, after = _write(link, claim, local, existing, plan)
    outcome = {"refusal": _refusal(plan, local), "known_as": _known_as(local, existing, written)}
    if not permits.confirm(claim, local, written, after, withheld=plan.withheld, **outcome):
        raise LeaseLost
    return plan


def _known_as(local: Local, existing: RemoteContact | None, written: Permit | None) -> str:
    """Return the address that she has over there after all, where it is not the one that was wished."""
    there = written.email if written else existing.email if existing else local.contact.email
    return there if there != local.contact.email else ""


def _opened(link: Link, claim: Claim) -> tuple[Claim, Local]:
    """Open the books. Where a changed address cannot be sent, the one before has its row again, and leaves."""
    local = ledger.load(claim.contact_id, vault.address_hashes)
    unsendable = link.backend.email_problem(local.contact.email) and not local.desired.opt_out
    before = [one for one in (*local.sought, *local.former) if not link.backend.email_problem(one)]
    if unsendable and before:
        former.part(claim, local, before[0])
        return _reopened(link, claim)
    return claim, _checked(link, local)


def _reopened(link: Link, claim: Claim) -> tuple[Claim, Local]:
    """Open the books again after a wish of our own making."""
    local = _checked(link, ledger.load(claim.contact_id, vault.address_hashes))
    return replace(claim, gen=local.contact.desired_gen), local


def _follow(link: Link, claim: Claim, local: Local, existing: RemoteContact | None) -> tuple[Claim, Local]:
    """Bring a changed address into the plan: what she opted out of under others, and whether hers is changed.

    Who is found under an address that she had is given the new one, unless it is taken over there, or she has opted
    out: then this row has the old address again, and what follows is about that one.
    """
    if local.elsewhere:
        former.heed(local)
        local = ledger.learn(_checked(link, ledger.load(claim.contact_id, vault.address_hashes)), existing)
    if existing is None:
        if local.sought and ledger.is_unclear(local):
            raise RemoteConflict("She may still appear under an address that she had.", code="unclear")
        return claim, local
    if existing.email == local.contact.email:
        _set_apart(link, local)
    if existing.email not in local.former:
        return claim, local
    other = None if local.desired.opt_out else _find(link, local.contact.email)
    if not planning.parts(local.desired, existing, other, barred=local.barred):
        return claim, local
    former.part(claim, local, existing.email)
    claim, local = _reopened(link, claim)
    return claim, ledger.learn(local, existing)


def _set_apart(link: Link, local: Local) -> None:
    """Let a former address leave, where nobody has looked yet whether another contact has it over there."""
    unseen = local.sought if local.contact.synced_at is None else ()
    apart = [one for one in unseen if _look_up(link, one, sure=True) is not None]
    for one in apart:
        former.set_apart(local, one)
    if apart:
        raise RemoteConflict("Her former address is read first.", code="old_first")


def _checked(link: Link, local: Local) -> Local:
    """Return the books with the fields as they can be sent. Raise what makes a request pointless."""
    problem = link.backend.email_problem(local.contact.email)
    if problem and not (local.former and local.desired.opt_out):
        raise RequestRejected(problem, code="address")
    if not all(map(link.backend.is_own_id, local.managed)):
        # Under ids of another wire everybody would seem to have left every list.
        raise CtctError("The account's lists have ids of another API: run ctct_move.")
    if local.unbound and not local.desired.opt_out:  # an opt-out is of everything, and waits for no list
        raise ListNotBound(local.unbound)
    fitted = link.backend.fit(local.desired.fields)
    return replace(local, desired=replace(local.desired, fields=fitted.fields))


def _read(link: Link, local: Local) -> RemoteContact | None:
    """Read the contact afresh: by its id where we know one, else by its address, or one that she had before.

    Who has an id of another wire is known there: not found by address, she has another one by now.
    """
    contact = local.contact
    known = link.backend.get(contact.remote_id) if contact.remote_id else None
    if known is not None and known.email in (contact.email, *local.former):
        return known
    if known is not None and former.is_anothers(contact, known.email):
        known = None  # By now it is that one's.
    found = _find(link, contact.email, *(local.sought if known is None else ()))
    moved = contact.remote_id is not None and not link.backend.is_own_id(contact.remote_id)
    if found is None and (known is not None or moved):
        raise RequestRejected("At Constant Contact this contact has another address now.", code="renamed")
    return found


def _find(link: Link, email: str, *had: str) -> RemoteContact | None:
    """Look a contact up, under the addresses that she had first."""
    asked = (_look_up(link, one, sure=True) for one in had)
    return next((one for one in asked if one is not None), None) or _look_up(link, email)


def _look_up(link: Link, email: str, *, sure: bool = False) -> RemoteContact | None:
    """Look up one address; what cannot be an address is not asked for. ``sure``: "nobody" has to be certain."""
    if link.backend.email_problem(email):
        return None
    found = link.backend.find(email)
    if found is None and sure:
        link.backend.assure_absent(email)
    return found


def _plan(local: Local, existing: RemoteContact | None) -> Plan:
    if local.contact.desired_gen == 0:
        return Nothing()  # A stranger: no member of the site ever claimed this address.
    return planning.plan(local.desired, local.base, existing, local.opt_outs, local.consents, local.managed)


def _write(
    link: Link, claim: Claim, local: Local, existing: RemoteContact | None, plan: Create | Update | OptOut
) -> tuple[Permit, RemoteContact | None]:
    """Make the one write that the plan asks for. No other place in the package writes to a contact."""
    send_by = time.time() + SEND_WITHIN
    try:
        permit = permits.permit(claim, local, existing, plan)
    except IntegrityError:
        raise RequestRejected("The database refused the write: the contact has opted out.", code="guard") from None
    link.gate.patience, link.gate.send_by = WRITE_PATIENCE, send_by
    try:
        return permit, _send(link.backend, permit, existing, plan)
    except RemoteError as error:
        outcome = Outcome.AMBIGUOUS if isinstance(error, AmbiguousWrite) else _outcome(error)
        permits.settle(permit, outcome, code=error.code)
        if isinstance(error, RemoteConflict) and error.remote_id and existing is None:
            ledger.note_remote_id(claim, local.contact, error.remote_id)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it was, bytes may have left
        permits.settle(permit, Outcome.AMBIGUOUS, code="error")
        raise AmbiguousWrite(f"{type(error).__name__} at {_place(error)}", code="error") from None


def _send(
    backend: BaseBackend, permit: Permit, existing: RemoteContact | None, plan: Create | Update | OptOut
) -> RemoteContact | None:
    if existing is None:
        return backend.create(permit)
    if isinstance(plan, OptOut):
        backend.opt_out(existing, permit)
    else:
        backend.update(existing, permit)
    return None


def _outcome(error: RemoteError) -> Outcome:
    return Outcome.NOT_SENT if error.status is None else Outcome.REFUSED


def _refusal(plan: Plan, local: Local) -> str:
    if isinstance(plan, Refuse):
        return plan.reason.value
    if plan.withheld:
        return planning.Reason.LEFT_LIST.value
    return Refusal.MISSING.value if local.missing else ""


def _answered(link: Link) -> None:
    Account.objects.filter(pk=link.account.pk).update(reached_at=DatabaseNow(), auth_failed_at=None)


def _failed(link: Link, claim: Claim, error: CtctError) -> Result:
    failure = _failure(claim, error)
    outbox.fail(claim, failure)
    slow_down(link, error)
    logger.warning("contact %s: %s (%s)", claim.contact_id, failure.code, failure.hold or "tried again later")
    _tell(signals.contact_failed, claim.contact_id, error=error)
    return Result(claim.contact_id, error=error)


def _place(error: BaseException) -> str:
    """Return where an error arose. Its text may hold an address, so that is left out."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"


def _failure(claim: Claim, error: CtctError) -> Failure:
    """Say what follows from an error. Every one ends here; what is not named is tried again later."""
    if isinstance(error, ListNotBound):
        return Failure("not_bound", str(error), hold=Hold.UNBOUND)
    if not isinstance(error, RemoteError):
        return Failure("error", str(error))
    code, text = error.code, str(error)
    match error:
        case AmbiguousWrite():
            return Failure(code, text, ambiguous=True)
        case RateLimited():
            return Failure(code, text, delay=timedelta(seconds=error.retry_after), counts=False)
        case QuotaExhausted():
            return Failure(code, text, delay=error.until - claim.at, counts=False)
        case RemoteConflict() if error.code in ("stale", "newer_wish", "old_first"):
            return Failure(code, text, delay=timedelta(seconds=1), counts=False)
        case RemoteConflict() if error.code == "unclear":
            return Failure(code, text, delay=UNCLEAR_DELAY, counts=False)
        case RemoteConflict() if error.code in ("not_approved", "behind"):
            return Failure(code, text, delay=UNREADY_DELAY, counts=False)
        case RequestRejected() if error.code == "deleted":
            return Failure(code, text, delay=DELETED_DELAY, counts=False)
        case AuthenticationFailed():
            return Failure(code, text, delay=AUTH_PAUSE, counts=False)
        case RequestRejected():
            return Failure(code, text, hold=_hold(claim, error))
        case _:
            return Failure(code, text)


def _hold(claim: Claim, error: RequestRejected) -> Hold:
    if error.code == "address":
        return Hold.INVALID
    if error.code in ("renamed", "guard"):
        return Hold.REVIEW
    if error.code == "do_not_mail":
        return Hold.NONE  # She opted out between our read and our write: the next read sees it.
    return Hold.REJECTED if claim.attempts >= TRIES_BEFORE_HOLD else Hold.NONE


def slow_down(link: Link, error: CtctError) -> None:
    """Keep every worker of this account from running into the same wall."""
    if isinstance(error, RateLimited) and error.code != "busy":
        ledger.pause(link.account, timedelta(seconds=error.retry_after), "too many calls")
    elif isinstance(error, QuotaExhausted) and error.status is not None:
        ledger.pause(link.account, error.until, "the day's calls are used up")
    elif isinstance(error, AuthenticationFailed) and error.status is None:
        ledger.pause(link.account, AUTH_PAUSE, "not connected")
        logger.error("account %s: a person must connect it to Constant Contact", link.account.alias)
    elif isinstance(error, AuthenticationFailed):
        ledger.pause(link.account, AUTH_PAUSE, "credentials refused")
        Account.objects.filter(pk=link.account.pk).update(auth_failed_at=DatabaseNow())
        logger.error("account %s: Constant Contact refuses the credentials", link.account.alias)


def _announce(contact_id: int, plan: Plan) -> None:
    _tell(signals.contact_refused if isinstance(plan, Refuse) else signals.contact_synced, contact_id, plan=plan)


def _tell(signal: Signal, contact_id: int, **news: object) -> None:
    """Send a signal about a contact as it now stands, unless it was deleted meanwhile."""
    contact = Contact.objects.filter(pk=contact_id).first()
    if contact is not None:
        signal.send_robust(Contact, contact=contact, **news)
