"""How an account is doing, as a value: what ``ctct_status`` prints and what a monitor may judge.

It reads the tables and the settings, calls nobody and changes nothing but for the account's own row, which is
made on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Count, F, Min, QuerySet

from .. import adapters, catalogue, conf
from ..models import Account, Contact, ContactList, DatabaseNow, Hold, Quota, SyncState
from ..quota import key_hash

__all__ = ["LONGEST_DELAY", "Health", "examine", "unbound_keys"]

#: Work that has been due for longer than this means that nobody drains (seconds).
LONGEST_DELAY = 900


@dataclass(frozen=True, slots=True)
class Health:
    """What there is to know of one account. Ages are in seconds, times are aware."""

    account: str
    contacts: Mapping[str, int]
    held: Mapping[str, int]
    oldest_pending_seconds: int | None
    oldest_due_seconds: int | None
    unbound_keys: tuple[str, ...]
    missing_lists: tuple[str, ...]
    paused_until: datetime | None
    pause_reason: str
    credentials_refused_at: datetime | None
    last_answer_at: datetime | None
    calls_today: int
    calls_per_day: int

    def problems(self) -> Iterator[str]:
        """Yield what needs a person, one sentence each; nothing when the account is healthy."""
        if self.credentials_refused_at:
            yield "Constant Contact refuses the credentials. Check OPTIONS of this account."
        if self.unbound_keys:
            yield f"No list is bound to: {', '.join(self.unbound_keys)}. Bind it with ctct_lists --bind KEY=ID_OR_NAME."
        if self.missing_lists:
            yield f"A bound list is gone at Constant Contact: {', '.join(self.missing_lists)}. Bind another one."
        if failed := self.contacts[SyncState.FAILED]:
            yield f"{failed} contacts failed. The admin says for each what happened."
        if (self.oldest_due_seconds or 0) > LONGEST_DELAY:
            yield "Work has been due for more than 15 minutes. Is a worker running, or cron with ctct_drain?"


def examine(alias: str) -> Health:
    """Look at an account. Raise ``ConfigurationError`` when the settings do not know it."""
    settings = conf.account(alias)
    row = Account.objects.annotate(moment=DatabaseNow()).get(pk=Account.objects.for_alias(alias).pk)
    contacts, now = Contact.objects.filter(account=row), row.moment
    paused = row.paused_until is not None and row.paused_until > now
    return Health(
        account=alias,
        contacts=_by_state(contacts),
        held=_by_hold(contacts),
        oldest_pending_seconds=_age(contacts.filter(desired_gen__gt=F("applied_gen")), "wished_at", now),
        oldest_due_seconds=_age(contacts.filter(hold="", due_at__lte=now), "due_at", now),
        unbound_keys=tuple(sorted(unbound_keys(row))),
        missing_lists=_missing(row),
        paused_until=row.paused_until if paused else None,
        pause_reason=row.pause_reason if paused else "",
        credentials_refused_at=row.auth_failed_at,
        last_answer_at=row.reached_at,
        calls_today=_calls(settings, now),
        calls_per_day=settings.calls_per_day,
    )


def unbound_keys(account: Account) -> frozenset[str]:
    """Return the keys that members are wished on, or that an adapter names, and that no list is bound to."""
    named = {key for one in adapters.for_account(account.alias) for key in one.lists}
    bound = ContactList.objects.filter(account=account, key__in=named).values_list("key", flat=True)
    return catalogue.unbound_keys(account) | (named - set(bound))


def _by_state(contacts: QuerySet[Contact]) -> dict[str, int]:
    stated = Contact.objects.filter(pk__in=contacts).with_state()
    counted = stated.values_list("state").annotate(Count("pk"))  # type: ignore[misc]  # annotated by with_state()
    return {state.value: 0 for state in SyncState} | dict(counted.order_by())


def _by_hold(contacts: QuerySet[Contact]) -> dict[str, int]:
    counted = contacts.exclude(hold=Hold.NONE).values_list("hold").annotate(Count("pk"))
    return {hold.value: 0 for hold in Hold if hold is not Hold.NONE} | dict(counted.order_by())


def _age(contacts: QuerySet[Contact], column: str, now: datetime) -> int | None:
    oldest = contacts.aggregate(moment=Min(column))["moment"]
    return max(0, int((now - oldest).total_seconds())) if oldest else None


def _missing(account: Account) -> tuple[str, ...]:
    gone = ContactList.objects.filter(account=account, key__isnull=False, missing_since__isnull=False)
    return tuple(f"{one.key} ({one})" for one in gone)


def _calls(settings: conf.AccountSettings, now: datetime) -> int:
    row = Quota.objects.filter(key_hash=key_hash(settings), day=now.astimezone(UTC).date()).first()
    return row.used if row else 0
