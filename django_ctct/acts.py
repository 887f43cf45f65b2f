"""What people do: opt out, leave a list, come back, and what staff do for them.

Each act is recorded in the tables at once and marks the contact; the trip to Constant Contact is
``services``' and happens in a worker. It may import models, ledger, outbox, conf, vault, signals, types and
exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Greatest
from django.utils.translation import get_language

from . import conf, ledger, outbox, signals, vault
from .exceptions import ListNotBound
from .ledger import NOT_REVIEWED
from .models import Account, Consent, Contact, ContactList, DatabaseNow, ListOptOut, OptOut, moment_of
from .types import ConsentKind, OptOutSource, Priority, normalise_address

__all__ = [
    "Outdated",
    "approve",
    "leave_all_lists",
    "leave_list",
    "lift_removal",
    "opt_out",
    "put_back",
    "respect",
    "resubscribe",
    "sync_now",
]


class Outdated(ValueError):
    """What an act was to decide about has changed since it was looked at. Nothing was done: look again."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def opt_out(contact: Contact, *, source: OptOutSource = OptOutSource.SITE, reason: str = "", actor: str = "") -> None:
    """Put a contact on Do Not Mail, for good (method 2). Only her own later act can undo it.

    From this moment on nothing is added for her, whether or not Constant Contact can be reached. ``reason`` and
    ``actor`` (who recorded it) are kept for staff to read, and are never sent.
    """
    with transaction.atomic():
        told = {"source": source.value, "reason": reason[:255], "actor": actor[:150]}
        OptOut.objects.create(contact=contact, at=DatabaseNow(), **told)
        now = DatabaseNow()
        Contact.objects.filter(pk=contact.pk).update(
            opted_out_at=Greatest(Coalesce(F("opted_out_at"), now), now),
            opted_out_source=source.value,
            opt_out_wanted=True,
        )
        _mark(contact, Priority.OPT_OUT)
        contact.refresh_from_db()
        announce = partial(signals.contact_opted_out.send_robust, Contact, contact=contact, source=source)
        transaction.on_commit(announce, robust=True)


def leave_list(address: str, key: str, *, account: str = conf.DEFAULT_ACCOUNT) -> Contact:
    """Take an address off one list because the person asked for it, and keep her off (method 1).

    She stays a contact and may return by her own act. Works for an address that the site does not know yet.
    """
    return _leave(_contact(account, address), _lists(account, [key]), OptOutSource.SITE)


def leave_all_lists(contact: Contact, *, source: OptOutSource = OptOutSource.OWNER) -> Contact:
    """Take a contact off every managed list without opting her out (method 1): her status becomes Removed."""
    managed = ContactList.objects.filter(account_id=contact.account_id, key__isnull=False)
    return _leave(contact, list(managed), source)


def _leave(contact: Contact, lists: Iterable[ContactList], source: OptOutSource) -> Contact:
    with transaction.atomic():
        for one in lists:
            if source is not OptOutSource.OWNER or not _is_off(contact, one):
                record = {"at": DatabaseNow(), "source": source.value, **NOT_REVIEWED}
                ListOptOut.objects.update_or_create(contact=contact, list=one, defaults=record)
        _mark(contact, Priority.REMOVAL)
    return contact


def _is_off(contact: Contact, one: ContactList) -> bool:
    """Say whether an opt-out of this list keeps her off already: what she did herself, staff may not replace.

    One that her own later consent has outweighed does not, nor one that the list's policy does not count.
    """
    left = ledger.counting(contact).filter(list=one).first()
    if left is None:
        return False
    hers = Consent.objects.filter(contact=contact, key=one.key, kind=ConsentKind.CONTACT_ACTION.value)
    return not hers.filter(at__gt=max(left.at, left.seen_at or left.at)).exists()


def lift_removal(contact: Contact) -> int:
    """Let the site's rules count again where staff, and not the person, took her off. Return how many lists."""
    with transaction.atomic():
        lifted, _rows = ListOptOut.objects.filter(contact=contact, source=OptOutSource.OWNER.value).delete()
        if lifted:
            _mark(contact, Priority.ADD)
    return lifted


def respect(left: ListOptOut, *, by: str) -> None:
    """Note that staff have seen who left a list at Constant Contact, and leave it at that.

    Raise ``Outdated`` when it is not as ``left`` was read any more, or somebody has decided already.
    """
    decision = {"reviewed_at": DatabaseNow(), "reviewed_by": by[:150]}
    if not _as_read(left).filter(reviewed_at=None).update(**decision):
        raise Outdated


def put_back(left: ListOptOut, *, by: str, why: str) -> None:
    """Let the site's rule count again for someone who left a list at Constant Contact, on staff's word.

    For a removal that was a mistake over there: it takes a reason, which is kept with the name. It does nothing
    about Do Not Mail, and nothing about who left through the site. Raise ``ValueError`` for these, and without a
    reason; ``Outdated`` when it is not as ``left`` was read any more. What she does herself meanwhile is faster.
    """
    if left.source != OptOutSource.REMOTE.value:
        raise ValueError("Only who left a list at Constant Contact can be put back.")
    if not why.strip():
        raise ValueError("Putting somebody back takes a reason.")
    if left.contact.opted_out_at is not None:
        raise ValueError("She has opted out of everything: only she herself can undo that.")
    with transaction.atomic():
        decision = {"reviewed_at": DatabaseNow(), "reviewed_by": by[:150], "put_back_why": why.strip()[:300]}
        not_out = Contact.objects.filter(pk=OuterRef("contact_id"), opted_out_at=None)
        if not _as_read(left).filter(Exists(not_out)).update(**decision):
            raise Outdated
        _mark(left.contact, Priority.ADD)


def _as_read(left: ListOptOut) -> QuerySet[ListOptOut]:
    """Return the row while it tells of the same departure: she may have left again since, here or over there."""
    # SQLite compares times as texts, and its own clock writes fewer digits than Python does.
    moment = (left.at - timedelta(microseconds=1), left.at + timedelta(microseconds=1))
    unchanged = ListOptOut.objects.filter(pk=left.pk, at__range=moment, put_back_why="")
    return unchanged.filter(source=OptOutSource.REMOTE.value)


def approve(account: Account, *, by: str) -> int:
    """Let changes be sent, because somebody has read the plan. Return how many contacts were waiting."""
    with transaction.atomic():
        waiting = Account.objects.filter(pk=account.pk, approved_at=None)
        if not waiting.update(approved_at=DatabaseNow(), approved_by=by[:150]):
            return 0
        due = Contact.objects.filter(account=account, due_at__isnull=False)
        released = due.update(due_at=DatabaseNow())
        outbox.wake(account.alias)
    return released


def resubscribe(
    contact: Contact,
    keys: Sequence[str],
    *,
    method: str,
    at: datetime | None = None,
    wording: str = "",
    language: str | None = None,
    evidence: str = "",
    kind: ConsentKind = ConsentKind.CONTACT_ACTION,
    actor: str = "",
) -> list[Consent]:
    """Record that the person herself asked to be on these lists again: what the site wants of them counts again.

    It covers the lists she named and no others, and only opt-outs before it that the site knew of by then: one that it
    hears of later, the page where she acted cannot have shown her. ``at`` (aware) is when she acted;
    now, when not given, and never later than now. Call it for her own act only: never for a rule, an import or a
    colleague. ``wording`` is what she was shown, in ``language`` (the active one, when not given).

    ``kind`` is ``REQUEST`` where nobody has proved yet that the address is hers, or where a colleague (``actor``)
    wrote down what she said: then it is kept, and changes nothing. Raise ``ValueError`` for an act of her own that
    names somebody else as its author.
    """
    kind, at = ConsentKind(kind), _not_in_future(contact, at)
    if kind is ConsentKind.CONTACT_ACTION and actor:
        raise ValueError("Staff cannot consent for her: record what she asked for with kind=ConsentKind.REQUEST.")
    shown_in = (get_language() or "") if language is None else language
    record = {
        "account_id": contact.account_id,
        "contact": contact,
        "address_hash": vault.address_hash(contact.email),
        "kind": kind.value,
        "at": at or DatabaseNow(),
        "method": method[:40],
        "wording": wording,
        "language": shown_in[:35] if wording else "",
        "evidence": evidence,
        "actor": actor[:150],
    }
    with transaction.atomic():
        lists = _lists(contact.account.alias, keys)
        given = [Consent.objects.create(key=one.key or "", **record) for one in lists]
        if kind is ConsentKind.CONTACT_ACTION:
            _call_off_opt_out(contact, keys, at)
            _mark(contact, Priority.ADD)
    return given


def _not_in_future(contact: Contact, at: datetime | None) -> datetime | None:
    """Cut a time that lies ahead: it would outweigh an opt-out that is still to come."""
    if at is None:
        return None
    return min(at, moment_of(Contact.objects.with_moment().get(pk=contact.pk)))


def _call_off_opt_out(contact: Contact, keys: Iterable[str], at: datetime | None) -> None:
    """An opt-out that is under way and older than her act is not carried out; all other lists she leaves."""
    under_way = Contact.objects.filter(pk=contact.pk, opt_out_wanted=True)
    if at is not None:
        under_way = under_way.filter(opted_out_at__lt=at)
    if not under_way.update(opt_out_wanted=False):
        return
    others = ContactList.objects.filter(account_id=contact.account_id, key__isnull=False).exclude(key__in=list(keys))
    for one in others:
        record = {"at": DatabaseNow(), "source": OptOutSource.SITE.value}
        ListOptOut.objects.get_or_create(contact=contact, list=one, defaults=record)


def sync_now(contacts: Iterable[Contact]) -> int:
    """Make contacts due now, held ones too. Return how many."""
    chosen = list(contacts)
    for alias in sorted({one.account.alias for one in chosen}):
        outbox.wake(alias)
    return outbox.release([one.pk for one in chosen])


def _mark(contact: Contact, priority: Priority) -> None:
    outbox.mark([contact.pk], priority)
    outbox.wake(contact.account.alias)


def _contact(alias: str, address: str) -> Contact:
    account = Account.objects.for_alias(alias)
    return Contact.objects.for_address(account, normalise_address(address))


def _lists(alias: str, keys: Iterable[str]) -> list[ContactList]:
    wanted = frozenset(keys)
    found = list(ContactList.objects.filter(account__alias=alias, key__in=wanted))
    missing = wanted - {one.key for one in found}
    if missing:
        raise ListNotBound(frozenset(missing))
    return found
