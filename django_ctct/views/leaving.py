"""Leaving, as a link's owner presses it: one list, or everything. It works for whatever address, known or not.

Pressing twice is leaving once: nothing more is recorded or sent while the first press stands, so that a link that
is pressed over and over costs no calls.
"""

from __future__ import annotations

from django.db.models import QuerySet

from .. import acts
from ..links import EVERYTHING, Purpose, SignedLink
from ..models import Account, Consent, Contact, ContactList, ListOptOut
from ..types import ConsentKind, ContactStatus, OptOutSource
from .standing import find, is_suppressed

__all__ = ["leave", "list_of"]

#: As the journal names the pages.
_REASONS = {Purpose.UNSUBSCRIBE: "unsubscribe link", Purpose.PREFERENCES: "preference page"}


def list_of(link: SignedLink) -> ContactList | None:
    """Return the list that a link is about, or None for everything.

    A letter of a list that the site no longer has promised that its link stops it. All that still can keep that
    promise is to stop everything.
    """
    return ContactList.objects.filter(account__alias=link.account, key=link.key).first() if link.key else None


def leave(link: SignedLink, key: str) -> bool:
    """Take the owner of a link off a list, or with ``EVERYTHING`` opt her out, and remember it.

    Return whether anything changed.
    """
    people = _owners(link)
    if not people and is_suppressed(link):
        return False  # erased, and never written to again: there is nothing to add, and no row to be made
    if not people:
        people = [Contact.objects.for_address(Account.objects.for_alias(link.account), link.address)]
    return any([_leave(one, link, key) for one in people])


def _owners(link: SignedLink) -> list[Contact]:
    """Return whom a link is about: who has the address, and who had it when the letter may have been sent.

    One who has given it up is another person where a member of the site has it now.
    """
    account = Account.objects.for_alias(link.account)
    row = find(link) or Contact.objects.renamed_from(account.pk, link.address)
    past = list(Contact.objects.once_known_as(account.pk, link.address).order_by("pk"))
    if row is None:
        return past
    return [row] if row.memberships.exists() else [row, *(one for one in past if one.pk != row.pk)]


def _leave(contact: Contact, link: SignedLink, key: str) -> bool:
    if key == EVERYTHING and not _has_opted_out(contact):
        acts.opt_out(contact, source=OptOutSource.SITE, reason=_REASONS[link.purpose])
    elif key != EVERYTHING and not _has_left(contact, key):
        acts.leave_list(contact.email, key, account=link.account)
    else:
        return False
    return True


def _has_left(contact: Contact, key: str) -> bool:
    """Say whether she left a list here, by her own word, and has not asked for it since."""
    left = ListOptOut.objects.filter(contact=contact, list__key=key, source=OptOutSource.SITE.value).first()
    return left is not None and not _own_acts(contact).filter(key=key, at__gt=left.at).exists()


def _has_opted_out(contact: Contact) -> bool:
    """Likewise for everything. One who has come back at Constant Contact since is not out any more."""
    stands = contact.opt_out_wanted or contact.status == ContactStatus.DO_NOT_MAIL
    if not stands or contact.opted_out_source != OptOutSource.SITE or contact.opted_out_at is None:
        return False
    return not _own_acts(contact).filter(at__gt=contact.opted_out_at).exists()


def _own_acts(contact: Contact) -> QuerySet[Consent]:
    return Consent.objects.filter(contact=contact, kind=ConsentKind.CONTACT_ACTION.value)
