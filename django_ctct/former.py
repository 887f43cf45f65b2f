"""A changed address under a worker's lease: whether she is still known by an old one, and what counts from there.

``addresses`` changes the rows; this room asks the books before it does, and says who has to wait for whom. It
decides nothing about Constant Contact and calls nobody; it may import ledger, addresses, models, outbox, exceptions
and types only.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from . import addresses, ledger, outbox
from .exceptions import RemoteConflict
from .ledger import LeaseLost, Local
from .models import Contact, DatabaseNow, FormerAddress, PastAddress
from .outbox import Claim
from .types import Priority

__all__ = ["forget", "heed", "is_anothers", "part", "set_apart"]

#: After so many tries in vain at a former address nobody waits for it any more.
FAILED_AFTER = 3


def heed(local: Local) -> None:
    """Let what is known of her at addresses that other rows have now count for her here.

    Raise ``RemoteConflict`` where one of them is about to be read: what she opted out of there, nobody may know yet.
    """
    for one in local.elsewhere:
        with transaction.atomic():
            row = Contact.objects.select_for_update().filter(account=local.contact.account, email=one.email).first()
            if row is not None and not row.claimed:
                Contact.objects.filter(pk=row.pk).update(claimed=True)
                outbox.mark([row.pk], Priority.REMOVAL)
                row.refresh_from_db()
            waits = row is not None and _is_to_be_read(row, one.at)
            if row is not None and not waits:
                addresses.copy_opt_outs(row.pk, local.contact.pk)
            if not waits:
                _put_away(one)
        if waits:
            raise RemoteConflict("Her former address is read first.", code="old_first")


def _is_to_be_read(row: Contact, since: datetime) -> bool:
    seen = row.seen_at is not None and row.seen_at >= since
    pending = row.due_at is not None and not row.hold and row.applied_gen < row.desired_gen
    return pending and not seen and row.attempts < FAILED_AFTER


def part(claim: Claim, local: Local, email: str) -> None:
    """Give the contact the address back that it has over there, and the wishes to a row of their own.

    Raise ``RemoteConflict`` while a write may land that gives it the new one, and ``LeaseLost`` when the contact is
    no longer ours.
    """
    if ledger.is_unclear(local):
        raise RemoteConflict("A write that may change the address is still on its way.", code="unclear")
    with transaction.atomic():
        ours = Contact.objects.filter(outbox.holds(claim))
        if not ours.update(seen_at=F("seen_at")):
            raise LeaseLost
        if not ours.filter(email=local.contact.email).exists():
            raise RemoteConflict("Her address has changed again.", code="newer_wish")
        addresses.part(local.contact, email)


def set_apart(local: Local, email: str) -> None:
    """Give a former address a row of its own, because another contact over there has it: it leaves our lists."""
    with transaction.atomic():
        addresses.leave(local.contact, email)


def forget(claim: Claim, local: Local) -> None:
    """Forget the addresses that she is not known by any more, unless a write on its way could bring one back."""
    if local.former and not ledger.is_unclear(local):
        former = FormerAddress.objects.filter(contact=local.contact, contact__desired_gen=claim.gen)
        for one in former.filter(email__in=local.former):
            _put_away(one)


def _put_away(one: FormerAddress) -> None:
    """Keep an address for the links in letters that were sent to it, and for nothing else."""
    with transaction.atomic():
        now = {"at": DatabaseNow()}
        PastAddress.objects.update_or_create(contact_id=one.contact_id, email=one.email, defaults=now)
        one.delete()


def is_anothers(contact: Contact, email: str) -> bool:
    """Say whether an address is another contact's, whom a member of the site claimed, or whom it is known by."""
    hers = Q(email=email, claimed=True) | Q(known_as=email)
    return Contact.objects.filter(hers, account_id=contact.account_id).exclude(pk=contact.pk).exists()
