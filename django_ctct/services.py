"""The remote half: bring Constant Contact to what the rows say, one contact at a time.

``reconcile`` is the whole trip of one change: claim, read, absorb, plan, permit, write, done. Around it stand
the acts of people: opting out, leaving a list, coming back, binding a list to a key. This room knows the
wires by their verbs only and the site not at all; it may import models, outbox, ledger, planning, backends,
quota, signals, conf, types and exceptions.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import IntegrityError
from django.dispatch import Signal
from django.utils.module_loading import import_string

from . import conf, ledger, outbox, planning, signals
from .backends.base import BaseBackend
from .exceptions import (
    AmbiguousWrite,
    AuthenticationFailed,
    ConfigurationError,
    CtctError,
    ListNotBound,
    QuotaExhausted,
    RateLimited,
    RemoteConflict,
    RemoteError,
    RequestRejected,
)
from .ledger import LeaseLost, Local
from .models import Account, Contact, DatabaseNow, Hold
from .outbox import Claim, Failure
from .planning import Create, Nothing, OptOut, Plan, Refuse, Update
from .quota import LONGEST_WAIT, AccountGate
from .types import ContactStatus, OptOutSource, Outcome, Permit, Priority, RemoteContact

__all__ = ["Link", "Preview", "Result", "connect", "preview", "reconcile"]

logger = logging.getLogger(__name__)

#: After refused credentials nobody calls for this long; then one try finds out whether they were put right.
AUTH_PAUSE = timedelta(minutes=15)
#: A refused request is tried once more from a fresh read before the contact is held.
TRIES_BEFORE_HOLD = 2
#: How long a write may wait for its slot (seconds): what was read grows old meanwhile.
WRITE_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Link:
    """An open way to one account."""

    account: Account
    backend: BaseBackend
    gate: AccountGate


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile came to. Neither plan nor error: the contact was not due, or another worker has it."""

    contact_id: int
    plan: Plan | None = None
    error: CtctError | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a reconcile would do, with the two sides it compared. Nothing was written anywhere."""

    contact: Contact
    local: Local
    existing: RemoteContact | None
    plan: Plan


@contextmanager
def connect(alias: str) -> Iterator[Link]:
    """Open the way to an account of ``CTCT["ACCOUNTS"]``. Raise ``ConfigurationError`` when it is not usable."""
    settings = conf.account(alias)
    gate = AccountGate(settings)
    try:
        backend_class = import_string(settings.backend)
    except ImportError as error:
        raise ConfigurationError(f"CTCT['ACCOUNTS'][{alias!r}]['BACKEND'] cannot be imported: {error}") from error
    backend = backend_class(settings.options, gate=gate)
    try:
        yield Link(Account.objects.for_alias(alias), backend, gate)
    finally:
        backend.close()


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
    """Say what a reconcile would do now. It reads, and writes neither here nor there."""
    local = _checked(link, ledger.load(contact_id))
    existing = _read(link, local.contact)
    local = ledger.learn(local, existing)
    return Preview(local.contact, local, existing, _plan(local, existing))


def _work(link: Link, claim: Claim) -> Plan:
    local = _checked(link, ledger.load(claim.contact_id))
    link.gate.lane, link.gate.patience = Priority(local.contact.priority), LONGEST_WAIT
    existing = _read(link, local.contact)
    _answered(link)
    local = ledger.absorb(claim, local, existing)
    _announce_opt_out(local.contact, existing)
    plan = _plan(local, existing)
    written, after = None, None
    if isinstance(plan, (Create, Update, OptOut)):
        written, after = _write(link, claim, local, existing, plan)
    if not ledger.confirm(claim, local, written, after, refusal=_refusal(plan), withheld=plan.withheld):
        raise LeaseLost
    return plan


def _checked(link: Link, local: Local) -> Local:
    """Return the books with the fields as they can be sent. Raise what makes a request pointless."""
    problem = link.backend.email_problem(local.contact.email)
    if problem:
        raise RequestRejected(problem, code="address")
    if local.unbound:
        raise ListNotBound(local.unbound)
    fitted = link.backend.fit(local.desired.fields)
    return replace(local, desired=replace(local.desired, fields=fitted.fields))


def _read(link: Link, contact: Contact) -> RemoteContact | None:
    """Read the contact afresh: by its id where we know one, else by its address."""
    known = link.backend.get(contact.remote_id) if contact.remote_id else None
    if known is not None and known.email == contact.email:
        return known
    found = link.backend.find(contact.email)
    if known is not None and found is None:
        raise RequestRejected("At Constant Contact this contact has another address now.", code="renamed")
    return found


def _plan(local: Local, existing: RemoteContact | None) -> Plan:
    if local.contact.desired_gen == 0:
        return Nothing()  # A stranger: no member of the site ever claimed this address.
    return planning.plan(local.desired, local.base, existing, local.opt_outs, local.consents, local.managed)


def _write(
    link: Link, claim: Claim, local: Local, existing: RemoteContact | None, plan: Create | Update | OptOut
) -> tuple[Permit, RemoteContact | None]:
    """Make the one write that the plan asks for. No other place in the package writes to a contact."""
    try:
        permit = ledger.permit(claim, local, existing, plan)
    except IntegrityError:
        raise RequestRejected("The database refused the write: the contact has opted out.", code="guard") from None
    link.gate.patience = WRITE_PATIENCE
    try:
        return permit, _send(link.backend, permit, existing, plan)
    except RemoteError as error:
        outcome = Outcome.AMBIGUOUS if isinstance(error, AmbiguousWrite) else _outcome(error)
        ledger.settle(permit, outcome, code=error.code)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it was, bytes may have left
        ledger.settle(permit, Outcome.AMBIGUOUS, code="error")
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


def _refusal(plan: Plan) -> str:
    if isinstance(plan, Refuse):
        return plan.reason.value
    return planning.Reason.LEFT_LIST.value if plan.withheld else ""


def _answered(link: Link) -> None:
    Account.objects.filter(pk=link.account.pk).update(reached_at=DatabaseNow(), auth_failed_at=None)


def _failed(link: Link, claim: Claim, error: CtctError) -> Result:
    failure = _failure(claim, error)
    outbox.fail(claim, failure)
    _slow_down(link, error)
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
        case RemoteConflict() if error.code in ("stale", "newer_wish"):
            return Failure(code, text, delay=timedelta(seconds=1), counts=False)
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


def _slow_down(link: Link, error: CtctError) -> None:
    """Keep every worker of this account from running into the same wall."""
    if isinstance(error, RateLimited) and error.code != "busy":
        ledger.pause(link.account, timedelta(seconds=error.retry_after), "too many calls")
    elif isinstance(error, QuotaExhausted) and error.status is not None:
        ledger.pause(link.account, error.until, "the day's calls are used up")
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


def _announce_opt_out(before: Contact, existing: RemoteContact | None) -> None:
    """Tell the site of an opt-out that was made at Constant Contact and is new to us."""
    seen = existing is not None and existing.status is ContactStatus.DO_NOT_MAIL
    if seen and before.status != ContactStatus.DO_NOT_MAIL and not before.opt_out_wanted:
        _tell(signals.contact_opted_out, before.pk, source=OptOutSource.REMOTE)
