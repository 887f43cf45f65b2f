"""The account's lists: read what is there, make one, and bind keys to them.

It may import services (for the way to the account), models, outbox and types.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from . import outbox
from .models import Account, Contact, ContactList, DatabaseNow, Hold, Membership, Refusal
from .services import Link
from .types import Priority, RemoteList

__all__ = ["bind_list", "create_list", "policies_changed", "read_lists", "unbind_list", "unbound_keys"]


def read_lists(link: Link) -> list[ContactList]:
    """Read all lists of the account into the tables. A list that vanished is kept and marked as missing."""
    found = list(link.backend.lists())
    with transaction.atomic():
        back = _missing(link.account)
        rows = [_keep(link.account, one) for one in found]
        gone = ContactList.objects.filter(account=link.account).exclude(pk__in=[row.pk for row in rows])
        gone.update(missing_since=Coalesce(F("missing_since"), DatabaseNow()))
        _tell_whom_it_concerns(link.account, back)
        _credentials_work(link.account)
    return rows


def create_list(link: Link, name: str, *, key: str | None = None) -> ContactList:
    """Make a list at Constant Contact, and bind it when a key is given. ``RemoteConflict``: the name is taken."""
    row = _keep(link.account, link.backend.create_list(name))
    return bind_list(link.account, key, row.remote_id) if key else row


def bind_list(account: Account, key: str, remote_id: str) -> ContactList:
    """Give a list a key, from now on managed; the key leaves the list that had it. Contacts that waited go on."""
    with transaction.atomic():
        ContactList.objects.filter(account=account, key=key).exclude(remote_id=remote_id).update(key=None)
        row, _made = ContactList.objects.get_or_create(account=account, remote_id=remote_id)
        row.key = key
        row.save(update_fields=["key"])
        _mark_wanting(account, key)
        held = Contact.objects.filter(account=account, hold=Hold.UNBOUND).values_list("pk", flat=True)
        outbox.release(list(held))
    return row


def unbind_list(row: ContactList) -> None:
    """Take the key off a list: it is not managed any more, and nobody is added to it or taken off.

    Contacts that are wished on the key are looked at again: they wait until it is bound to another list.
    """
    key, row.key = row.key, None
    with transaction.atomic():
        row.save(update_fields=["key"])
        _mark_wanting(row.account, key)


def policies_changed(row: ContactList) -> None:
    """Look again at everybody whom a changed policy of a list may concern."""
    if row.key is not None:
        _mark_wanting(row.account, row.key)
        there = Contact.objects.filter(account_id=row.account_id, desired_gen__gt=0, remote_memberships__list=row)
        outbox.mark(set(there.values_list("pk", flat=True)), Priority.RESYNC)


def unbound_keys(account: Account) -> frozenset[str]:
    """Return the keys that members are wished on and no list is bound to."""
    wished = set(Membership.objects.filter(contact__account=account).values_list("key", flat=True).distinct())
    bound = ContactList.objects.filter(account=account, key__isnull=False).values_list("key", flat=True)
    return frozenset(wished - set(bound))


def _mark_wanting(account: Account, key: str | None) -> None:
    wanting = Contact.objects.filter(account=account, memberships__key=key)
    outbox.mark(set(wanting.values_list("pk", flat=True)), Priority.ADD)
    outbox.wake(account.alias)


def _missing(account: Account) -> set[str]:
    """Return the keys whose lists are gone at Constant Contact."""
    gone = ContactList.objects.filter(account=account, key__isnull=False, missing_since__isnull=False)
    return {key for key in gone.values_list("key", flat=True) if key}


def _tell_whom_it_concerns(account: Account, before: set[str]) -> None:
    """Say of nobody that she is in sync whose list is gone; look again at those whose list is back."""
    now = _missing(account)
    waiting = Contact.objects.filter(account=account, memberships__key__in=now - before, refusal="")
    Contact.objects.filter(pk__in=set(waiting.values_list("pk", flat=True))).update(refusal=Refusal.MISSING)
    for key in before - now:
        _mark_wanting(account, key)


def _credentials_work(account: Account) -> None:
    """Note an answer. What was paused because the credentials were refused may go on."""
    refused = Account.objects.filter(pk=account.pk, auth_failed_at__isnull=False)
    refused.update(paused_until=None, pause_reason="", auth_failed_at=None)
    Account.objects.filter(pk=account.pk).update(lists_read_at=DatabaseNow(), reached_at=DatabaseNow())


def _keep(account: Account, found: RemoteList) -> ContactList:
    row, _made = ContactList.objects.update_or_create(
        account=account,
        remote_id=found.remote_id,
        defaults={
            "name": found.name[:255],
            "members": found.members,
            "seen_at": DatabaseNow(),
            "missing_since": None,
        },
    )
    return row
