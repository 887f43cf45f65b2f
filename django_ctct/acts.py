"""What people do: opt out, leave a list, come back, and what staff do for them.

Each act is recorded in the tables at once and marks the contact; the trip to Constant Contact is
``services``' and happens in a worker. It may import models, outbox, conf, signals, types and exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from . import conf, outbox, signals
from .exceptions import ListNotBound
from .models import Account, Consent, Contact, ContactList, DatabaseNow, ListOptOut
from .types import OptOutSource, Priority, normalise_address

__all__ = ["leave_all_lists", "leave_list", "lift_removal", "opt_out", "resubscribe", "sync_now"]


def opt_out(contact: Contact, *, source: OptOutSource = OptOutSource.SITE) -> None:
    """Put a contact on Do Not Mail, for good (method 2). Only her own later act can undo it.

    From this moment on nothing is added for her, whether or not Constant Contact can be reached.
    """
    with transaction.atomic():
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
                record = {"at": DatabaseNow(), "source": source.value}
                ListOptOut.objects.update_or_create(contact=contact, list=one, defaults=record)
        _mark(contact, Priority.REMOVAL)
    return contact


def _is_off(contact: Contact, one: ContactList) -> bool:
    """Say whether an opt-out of this list stands already: what the person did herself, staff may not replace.

    One that her own later consent has outweighed does not stand any more.
    """
    left = ListOptOut.objects.filter(contact=contact, list=one).first()
    return left is not None and not Consent.objects.filter(contact=contact, key=one.key, at__gt=left.at).exists()


def lift_removal(contact: Contact) -> int:
    """Let the site's rules count again where staff, and not the person, took her off. Return how many lists."""
    with transaction.atomic():
        lifted, _rows = ListOptOut.objects.filter(contact=contact, source=OptOutSource.OWNER.value).delete()
        if lifted:
            _mark(contact, Priority.ADD)
    return lifted


def resubscribe(
    contact: Contact,
    keys: Sequence[str],
    *,
    method: str,
    at: datetime | None = None,
    wording: str = "",
    evidence: str = "",
) -> list[Consent]:
    """Record that the person herself asked to be on these lists again: what the site wants of them counts again.

    It covers the lists she named and no others, and only opt-outs before it. ``at`` (aware) is when she acted;
    now, when not given. Call it for her own act only: never for a rule, an import or a colleague.
    """
    with transaction.atomic():
        given = [
            Consent.objects.create(
                contact=contact,
                key=one.key or "",
                at=at or DatabaseNow(),
                method=method,
                wording=wording,
                evidence=evidence,
            )
            for one in _lists(contact.account.alias, keys)
        ]
        _call_off_opt_out(contact, keys, at)
        _mark(contact, Priority.ADD)
    return given


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
