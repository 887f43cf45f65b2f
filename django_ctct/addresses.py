"""A changed address: one person keeps one contact, and what she opted out of follows her.

``rename`` gives a row a new address while Constant Contact still knows her by the old one; a worker brings the
change there. ``part`` takes it back where that cannot be: then the old address has its row again, and leaves the
managed lists, and the new one begins with a row of its own. Both writers of the tables need these: the mirror when
a member's address changes, the ledger when it sees what is over there. It decides nothing about Constant Contact
and calls nobody. It may import models, outbox and types only.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Q

from . import outbox
from .models import (
    Contact,
    DatabaseNow,
    FormerAddress,
    Hold,
    ListOptOut,
    Membership,
    PastAddress,
    WriteAttempt,
    moment_of,
)
from .types import ContactStatus, Outcome, Priority, Verb

__all__ = ["copy_opt_outs", "follow", "had", "is_known", "is_opted_out", "leave", "part", "rename"]

#: The wish, as far as it says something about the person at the address.
_PROFILE = ("first_name", "last_name", "profile", "profile_from")


def is_opted_out(contact: Contact) -> bool:
    """Say whether all we know is that she gets no mail: opted out, and not seen on a list since."""
    back = contact.status in (ContactStatus.ACTIVE.value, ContactStatus.UNCONFIRMED.value)
    return contact.opt_out_wanted or (contact.opted_out_at is not None and not back)


def is_known(contact: Contact) -> bool:
    """Say whether there is, or may be, a contact over there that this row knows to be its own.

    One that nobody has looked for yet may be a stranger's: an address with a slip in it.
    """
    return contact.remote_id is not None or _may_have_been_made(contact)


def _may_have_been_made(contact: Contact) -> bool:
    """Say whether a create under the present address was sent."""
    former = FormerAddress.objects.filter(contact=contact).order_by("-at").first()
    made = WriteAttempt.objects.filter(contact=contact, verb=Verb.CREATE.value)
    sent = made.exclude(outcome__in=(Outcome.NOT_SENT.value, Outcome.REFUSED.value))
    return (sent.filter(at__gt=former.at) if former else sent).exists()


def rename(contact: Contact, email: str) -> bool:
    """Give a row another address, and keep the old one in mind. Return False where another row has that address.

    Call it in a transaction that marks the row, with the row locked and fresh.
    """
    sought = contact.remote_id is None and _may_have_been_made(contact)
    try:
        with transaction.atomic():
            Contact.objects.filter(pk=contact.pk).update(email=email)
    except IntegrityError:
        return False
    # Whom somebody renamed over there is looked at again: it may be to this address.
    review = Contact.objects.filter(pk=contact.pk, hold=Hold.REVIEW, error_code="renamed")
    review.update(hold="", due_at=DatabaseNow())
    FormerAddress.objects.filter(contact=contact, email=email).delete()
    _remember(contact, contact.email, sought=sought)
    # Never read since it is known: what told of it knew this address.
    Contact.objects.filter(pk=contact.pk, known_as="", remote_id__isnull=False).update(known_as=contact.email)
    contact.email = email
    return True


def part(contact: Contact, email: str) -> Contact:
    """Give a row the address back that it had, and what the site wishes to a new row under the present one.

    The old row keeps all that is known of the contact over there, and the consents given for her. Return the new
    row, which has a copy of the opt-outs. Call it in a transaction.
    """
    held = Contact.objects.select_for_update().get(pk=contact.pk)
    new = Contact(account_id=held.account_id, email=held.email, claimed=True, verify_at=held.verify_at)
    for name in _PROFILE:
        setattr(new, name, getattr(held, name))
    Contact.objects.filter(pk=held.pk).update(email=email, profile_from="")
    new.due_at = held.verify_at
    new.save(force_insert=True)
    Membership.objects.filter(contact=held).update(contact=new)
    FormerAddress.objects.filter(contact=held, email=email).delete()
    follow(held, new)
    outbox.mark([held.pk], Priority.OPT_OUT if held.opt_out_wanted else Priority.REMOVAL)
    outbox.mark([new.pk], Priority.ADD)
    outbox.wake(held.account.alias)
    return new


def leave(contact: Contact, email: str) -> None:
    """Give a former address a row of its own, so that it leaves the managed lists. Call it in a transaction."""
    FormerAddress.objects.filter(contact=contact, email=email).delete()
    old, _made = Contact.objects.get_or_create(account_id=contact.account_id, email=email)
    Contact.objects.filter(pk=old.pk).update(claimed=True)
    outbox.mark([old.pk], Priority.REMOVAL)
    follow(old, contact)


def follow(old: Contact, new: Contact) -> None:
    """Let the opt-outs of one address count for another one of the same person's, now and when the old one is read."""
    copy_opt_outs(old.pk, new.pk)
    _remember(new, Contact.objects.values_list("email", flat=True).get(pk=old.pk))


def had(contact: Contact, email: str) -> bool:
    """Say whether a contact had an address before, as far as that is still known."""
    kept = (model.objects.filter(contact=contact, email=email) for model in (FormerAddress, PastAddress))
    return any(rows.exists() for rows in kept)


def copy_opt_outs(old_id: int, new_id: int) -> None:
    """Copy opt-outs with their times and sources, unless a later one stands there. Consents are never copied.

    Who asked to be back under the new address before that did not know of them there.
    """
    old = Contact.objects.get(pk=old_id)
    if old.opted_out_at is not None:
        earlier = Q(opted_out_at=None) | Q(opted_out_at__lt=old.opted_out_at)
        Contact.objects.filter(earlier, pk=new_id).update(
            opted_out_seen_at=DatabaseNow(), opted_out_at=old.opted_out_at, opted_out_source=old.opted_out_source
        )
    for one in ListOptOut.objects.filter(contact_id=old_id, put_back_why=""):
        _copy(one, new_id)


def _copy(one: ListOptOut, new_id: int) -> None:
    told = {"at": one.at, "seen_at": DatabaseNow(), "source": one.source}
    values = {**told, "reviewed_at": one.reviewed_at, "reviewed_by": one.reviewed_by}
    there, made = ListOptOut.objects.get_or_create(contact_id=new_id, list_id=one.list_id, defaults=values)
    if not made:
        ListOptOut.objects.filter(pk=there.pk, at__lt=one.at).update(**values, put_back_why="")


def _remember(contact: Contact, email: str, *, sought: bool = False) -> None:
    moment = moment_of(Contact.objects.with_moment().get(pk=contact.pk))
    FormerAddress.objects.update_or_create(contact=contact, email=email, defaults={"at": moment, "sought": sought})
