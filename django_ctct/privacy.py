"""What a person may ask for: what is held about her, and that it be forgotten; and how long the journal is kept.

An erasure keeps what protects her: that she must not be written to (as a keyed hash of her address) and what she
had agreed to. It first carries an opt-out to Constant Contact, and erases nothing while that has not arrived: an
address that is forgotten here and mailed from there would be the worst of both. No address leaves this room but in
an export. It may import services, acts, addresses, outbox, vault, models, types and exceptions.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from . import acts, addresses, outbox, services, vault
from .exceptions import RemoteConflict
from .models import (
    Account,
    Consent,
    Contact,
    ContactList,
    DatabaseNow,
    FormerAddress,
    Hold,
    Membership,
    PastAddress,
    Suppression,
    WriteAttempt,
    moment_of,
)
from .services import Link
from .types import OptOutSource, Outcome, Priority, normalise_address

__all__ = ["KEEP_JOURNAL", "Erasure", "Renewed", "erase", "export", "is_held", "purge", "renew_hashes"]

#: How long a closed write is kept, where nothing rests on it any more.
KEEP_JOURNAL = timedelta(days=365)
#: How long an erasure waits for another worker who is at the contact (seconds), and how often it looks.
PATIENCE = 30.0
LOOK_EVERY = 0.25
_UNKNOWN = (Outcome.OPEN.value, Outcome.AMBIGUOUS.value)
_STILL_UNDER_WAY = "A write of unknown outcome may still reach Constant Contact for some minutes."
_WORKED_ON = "A worker is at this contact."


# What is held


def export(account: Account, address: str) -> dict[str, Any]:
    """Return all that is held about an address in one account, in JSON's types. What there is none of is empty.

    Consents and the suppression are found by the address alone, so they are told after an erasure too.
    """
    email = normalise_address(address)
    contact, names = _row(account, email), vault.address_hashes(email)
    former = FormerAddress.objects.filter(Q(email=email) | Q(contact=contact), contact__account=account)
    past = PastAddress.objects.filter(Q(email=email) | Q(contact=contact), contact__account=account)
    consents = Consent.objects.filter(Q(address_hash__in=names) | Q(contact=contact, contact__isnull=False))
    return {
        "account": account.alias,
        "address": email,
        "contact": _told(contact) if contact else None,
        "former_addresses": _all(former.order_by("at", "pk")),
        "past_addresses": _all(past.order_by("at", "pk")),
        **_hanging_on(contact),
        "consents": _all(consents.filter(account=account).order_by("at", "pk")),
        "suppressions": _all(Suppression.objects.filter(account=account, address_hash__in=names)),
    }


def _row(account: Account, email: str) -> Contact | None:
    """Return the row of an address, or of who has given it up, and not one that the database takes for the same."""
    found = Contact.objects.filter(account=account, email=email)
    hers = next((one for one in found if one.email == email), None)
    return hers or Contact.objects.renamed_from(account.pk, email)


def is_held(document: Mapping[str, Any]) -> bool:
    """Say whether an export tells of anything."""
    return any(part for name, part in document.items() if name not in ("account", "address"))


def _hanging_on(contact: Contact | None) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that go with a contact's own."""
    return {
        "memberships": _all(Membership.with_idle.filter(contact=contact).order_by("key", "pk") if contact else ()),
        "remote_memberships": _all(contact.remote_memberships.select_related("list").order_by("pk") if contact else ()),
        "list_opt_outs": _all(contact.list_opt_outs.select_related("list").order_by("at") if contact else ()),
        "opt_outs": _all(contact.opt_outs.order_by("at") if contact else ()),
        "writes": _all(contact.writes.order_by("at") if contact else ()),
    }


def _all(rows: Iterable[models.Model]) -> list[dict[str, Any]]:
    return [_told(row) for row in rows]


def _told(row: models.Model) -> dict[str, Any]:
    """Return every column of a row, so that one that is added later is not forgotten here."""
    told = {one.attname: _plain(getattr(row, one.attname)) for one in row._meta.concrete_fields}
    named = getattr(row, "list", None)
    if isinstance(named, ContactList):
        told["list"] = named.name
    return told


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


# Forgetting


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure came to: how many rows are gone, and how many consents are kept without her address.

    ``waits_for`` says why nothing was erased; her opt-out stands then, and is carried out by the worker. ``member``:
    a member of the site still has the address, so the site will write it down again, on no list. ``addresses``: how
    many she had at once, because one was being changed; all of them are gone.
    """

    rows: int = 0
    consents: int = 0
    member: bool = False
    addresses: int = 1
    waits_for: str = ""

    @property
    def is_done(self) -> bool:
        return not self.waits_for


def erase(link: Link, address: str, *, patience: float = PATIENCE) -> Erasure:
    """Opt an address out, here and at Constant Contact, then forget it here but for a keyed hash.

    It may be repeated. Call it outside of any transaction. Raise ``ValueError`` for what is no address.
    """
    email = normalise_address(address)
    if "@" not in email or len(email) > 254:
        raise ValueError("This is no e-mail address.")
    with transaction.atomic(durable=True):
        contact = Contact.objects.for_address(link.account, email)
        acts.opt_out(contact, source=OptOutSource.SITE, reason="erasure")
        outbox.release([contact.pk])  # what was held for a person to look at, too
    waits_for = _carry(link, contact, patience)
    return Erasure(waits_for=waits_for) if waits_for else _forget(contact, email)


def _carry(link: Link, contact: Contact, patience: float) -> str:
    """Bring her opt-out to Constant Contact now. Return what stands in the way, or nothing.

    A worker that heard of it may be faster: its word is as good as ours.
    """
    until = time.monotonic() + patience
    while True:
        error = services.reconcile(link, contact.pk).error
        in_the_way = _in_the_way(contact)
        if not in_the_way:
            return ""
        worked_on = Contact.objects.filter(pk=contact.pk, lease_token__isnull=False).exists()
        if time.monotonic() >= until or not (worked_on or isinstance(error, RemoteConflict)):
            return str(error) if error else in_the_way
        time.sleep(LOOK_EVERY)


def _in_the_way(contact: Contact) -> str:
    """Say why her opt-out has not arrived, or may not be the last word. ``contact`` is as it was when recorded."""
    row = Contact.objects.filter(pk=contact.pk).first()
    if row is None:
        return ""
    if row.email != contact.email:
        return "Her address has just been changed."
    never_there = row.hold == Hold.INVALID and row.remote_id is None
    if row.applied_gen < contact.desired_gen and not never_there:
        return row.error_text or _WORKED_ON
    return _STILL_UNDER_WAY if WriteAttempt.objects.filter(contact=row, outcome__in=_UNKNOWN).exists() else ""


def _forget(contact: Contact, email: str) -> Erasure:
    """Delete the contact and all that hangs on it in one transaction with what has to stay."""
    with transaction.atomic():
        # Takes the row for us: no worker can begin with it until it is gone.
        free = Contact.objects.filter(pk=contact.pk, lease_token=None).update(seen_at=F("seen_at"))
        row = Contact.objects.with_moment().filter(pk=contact.pk).first()
        if row is None:
            return Erasure()  # another erasure was faster
        waits_for = _in_the_way(contact) if free else _WORKED_ON
        if waits_for:
            return Erasure(waits_for=waits_for)
        emails = {email, *_addresses(row)}
        consents = sum(_keep_protected(row, vault.address_hashes(one)) for one in emails)
        _tell_her_other_addresses(row, emails)
        member = Membership.with_idle.filter(contact=row).exists()
        rows, _tables = row.delete()
    return Erasure(rows, consents, member, len(emails))


def _addresses(row: Contact) -> set[str]:
    """Return the addresses of a contact: hers, and those that she gave up and that have no row of their own."""
    former = row.former_addresses.values_list("email", flat=True)
    others = Contact.objects.filter(account_id=row.account_id, email__in=former).values_list("email", flat=True)
    return {row.email, *former} - set(others)


def _keep_protected(row: Contact, names: Sequence[str]) -> int:
    """Keep an address out of reach, and its consents, under its newest name. Return how many consents there are."""
    now = moment_of(row)
    _suppress(row.account_id, names, max(now, row.opted_out_at or now))
    for old in names[1:]:
        Consent.objects.renamed(old, names[0])
    return Consent.objects.filter(account_id=row.account_id, address_hash=names[0]).count()


def _tell_her_other_addresses(row: Contact, emails: Iterable[str]) -> None:
    """Let her opt-out count where she had one of these addresses before, and forget that she had."""
    others = FormerAddress.objects.filter(contact__account_id=row.account_id, email__in=emails)
    for one in others.exclude(contact=row):
        addresses.copy_opt_outs(row.pk, one.contact_id)
        outbox.mark([one.contact_id], Priority.REMOVAL)
        one.delete()


def _suppress(account_id: int, names: Sequence[str], at: datetime) -> None:
    """Keep one suppression of an address: under its newest name, with the latest time."""
    known = list(Suppression.objects.filter(account_id=account_id, address_hash__in=names))
    latest = max([at, *(one.at for one in known)])
    Suppression.objects.filter(pk__in=[one.pk for one in known if one.address_hash != names[0]]).delete()
    Suppression.objects.update_or_create(
        account_id=account_id,
        address_hash=names[0],
        defaults={"at": latest, "source": OptOutSource.SITE.value},
    )


# The journal


def purge(*, older_than: timedelta = KEEP_JOURNAL, chunk: int = 1000) -> int:
    """Delete old writes that nothing rests on, and past addresses. Return how many writes.

    Each chunk of contacts is a transaction of its own.

    What stays: a contact's latest write, and the whole journal of a contact with a write of unknown outcome or
    with one that rests on a consent. The books still reckon with those, however old they are (``ledger``).
    """
    gone = 0
    PastAddress.objects.filter(at__lt=DatabaseNow() - PastAddress.KEPT).delete()
    for batch in _batches(Contact.objects.all(), chunk):
        old = WriteAttempt.objects.filter(contact_id__in=batch, at__lt=DatabaseNow() - older_than)
        # Found first and deleted by id: MySQL and MariaDB delete from no table that they look into meanwhile.
        ids = list(old.filter(_nothing_rests_on_it()).values_list("pk", flat=True))
        for some in range(0, len(ids), chunk):
            gone += WriteAttempt.objects.filter(pk__in=ids[some : some + chunk]).delete()[0]
    return gone


def _nothing_rests_on_it() -> Q:
    hers = WriteAttempt.objects.filter(contact=OuterRef("contact"))
    needed = hers.filter(Q(outcome__in=_UNKNOWN) | Q(consent__isnull=False))
    return Q(Exists(hers.filter(at__gt=OuterRef("at")))) & ~Q(Exists(needed))


def _batches(contacts: QuerySet[Contact], size: int) -> Iterator[Mapping[int, str]]:
    """Yield ids with addresses, some at a time, by id: so that rows that come and go meanwhile shift nothing."""
    last = 0
    while batch := dict(contacts.filter(pk__gt=last).order_by("pk").values_list("pk", "email")[:size]):
        yield batch
        last = max(batch)


# Keys


@dataclass(frozen=True, slots=True)
class Renewed:
    """How many hashes have the newest key's name now, and how many have not.

    ``kept`` are of addresses that are not known here any more, of people who were erased above all: nobody can name
    them anew, so their key has to stay in the settings.
    ``lost`` are of a key that the settings do not have: they protect nobody until it is put back.
    """

    renewed: int = 0
    kept: int = 0
    lost: int = 0
    total: int = 0


def renew_hashes(*, chunk: int = 500) -> Renewed:
    """Name consents and suppressions anew by the newest key, where a contact's row still tells the address."""
    newest, *older = vault.key_names()
    renewed = 0
    if _count(older):
        for batch in _batches(Contact.objects.all(), chunk):
            former = FormerAddress.objects.filter(contact_id__in=batch).values_list("email", flat=True)
            with transaction.atomic():
                renewed += _renew({*batch.values(), *former})
    kept, total = _count(older), Consent.objects.count() + Suppression.objects.count()
    return Renewed(renewed, kept, total - kept - _count([newest]), total)


def _count(key_names: Iterable[str]) -> int:
    """Return how many hashes there are by any of these keys."""
    named = Q(pk__in=[])
    for one in key_names:
        named |= Q(address_hash__startswith=f"{one}:")
    return Consent.objects.filter(named).count() + Suppression.objects.filter(named).count()


def _renew(emails: Iterable[str]) -> int:
    anew = {old: names for names in map(vault.address_hashes, emails) for old in names[1:] if old != names[0]}
    agreed = set(Consent.objects.filter(address_hash__in=anew).values_list("address_hash", flat=True))
    gone = list(Suppression.objects.filter(address_hash__in=anew))
    for one in gone:
        _suppress(one.account_id, anew[one.address_hash], one.at)
    return len(gone) + sum(Consent.objects.renamed(old, anew[old][0]) for old in sorted(agreed))
