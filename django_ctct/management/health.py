"""How an account is doing, as a value: what ``ctct_status`` prints and what a monitor may judge.

It reads the tables and the settings, calls nobody and changes nothing but for the account's own row, which is
made on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, QuerySet

from .. import adapters, catalogue, conf, environment, ledger, services, tokens
from ..models import Account, AuthState, Contact, ContactList, DatabaseNow, Hold, Quota, SyncState
from ..pull import is_walking
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
    #: ``fixed`` (credentials in the settings), or how it stands with a person's consent.
    consent: str = "fixed"
    renewed_at: datetime | None = None
    idle_days: int | None = None
    tokens_unreadable: bool = False
    looks_like_a_copy: bool = False
    waits_for_move: bool = False
    #: When all that had happened at Constant Contact was last known here; ``behind`` means that adds wait for it.
    news_read_at: datetime | None = None
    behind: bool = False
    #: The reading of all contacts: under way since, how many it has seen, and when the last one ended.
    walk_begun_at: datetime | None = None
    walk_seen: int = 0
    walk_ended_at: datetime | None = None
    approved_at: datetime | None = None
    approved_by: str = ""

    def notes(self) -> Iterator[str]:
        """Yield what is worth knowing and is no fault."""
        if self.approved_at is None:
            yield (
                "Nothing is sent yet but opt-outs: read the plan (ctct_plan --known), then approve it (ctct_plan "
                f"--approve --account {self.account}, or in the admin)."
            )
        if self.walk_begun_at is not None:
            yield f"All contacts are being read: {self.walk_seen} so far."

    def problems(self) -> Iterator[str]:
        """Yield what needs a person, one sentence each; nothing when the account is healthy."""
        cut_off = list(self._connection_problems())
        yield from cut_off or self._news_problems()
        if self.unbound_keys:
            yield f"No list is bound to: {', '.join(self.unbound_keys)}. Bind it with ctct_lists --bind KEY=ID_OR_NAME."
        if self.missing_lists:
            yield f"A bound list is gone at Constant Contact: {', '.join(self.missing_lists)}. Bind another one."
        if failed := self.contacts[SyncState.FAILED]:
            yield f"{failed} contacts failed. The admin says for each what happened."
        if (self.oldest_due_seconds or 0) > LONGEST_DELAY:
            yield "Work has been due for more than 15 minutes. Is a worker running, or cron with ctct_drain?"

    def _news_problems(self) -> Iterator[str]:
        longest = int(ledger.CATCH_UP.total_seconds() // 60)
        if self.news_read_at is None and self.walk_begun_at is not None:
            return  # the first reading is under way: a note says so
        if self.news_read_at is None:
            yield "News from Constant Contact was never read: nobody is added until it is. Run ctct_pull."
        elif self.behind:
            yield (
                f"News from Constant Contact is older than {longest} minutes: nobody is added until it is read. "
                "Is a worker running, or cron with ctct_pull?"
            )

    def _connection_problems(self) -> Iterator[str]:
        """Yield what is wrong with the way to the account; where it is no way at all, only that."""
        connect = f"Connect it in the admin, or with ctct_connect --account {self.account}."
        if self.looks_like_a_copy:
            yield (
                "This database looks like a copy of the live one: nothing is sent. If this is the live site now, "
                f"say so in the admin, or with ctct_connect --adopt --account {self.account}."
            )
        elif self.waits_for_move:
            yield f"The account was put on another API: nothing is sent until ctct_move --account {self.account}."
        elif self.tokens_unreadable:
            yield "The stored tokens cannot be read: their key is not in CTCT['SECRET_KEYS'] any more. Put it back."
        elif self.consent == AuthState.NEVER:
            yield f"The account is not connected to Constant Contact. {connect}"
        elif self.consent == AuthState.RECONNECT:
            yield f"Constant Contact does not accept the consent any more. {connect}"
        elif self.credentials_refused_at:
            yield "Constant Contact refuses the credentials. Check OPTIONS of this account."
        if self.idle_days is not None:
            yield f"The connection was not used for {self.idle_days} days; after 180 it ends. Is a worker running?"


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
        looks_like_a_copy=environment.is_copy(row),
        waits_for_move=services.waits_for_move(row, tokens.wire(settings)),
        news_read_at=row.pulled_at,
        behind=ledger.is_behind(row),
        walk_begun_at=row.walk_begun_at if is_walking(row) else None,
        walk_seen=row.walk_seen,
        walk_ended_at=row.walk_ended_at,
        approved_at=row.approved_at,
        approved_by=row.approved_by,
        **_consent(settings, row, now),
    )


def _consent(settings: conf.AccountSettings, row: Account, now: datetime) -> dict[str, Any]:
    """Return what there is to know of a connection by consent; nothing for one by fixed credentials."""
    if not tokens.uses_consent(settings):
        return {}
    idle = now - row.refreshed_at if row.tokens and row.refreshed_at else timedelta(0)
    return {
        "consent": row.auth_state if row.tokens else AuthState.NEVER.value,
        "renewed_at": row.refreshed_at,
        "idle_days": idle.days if idle > tokens.IDLE_WARNING else None,
        "tokens_unreadable": tokens.unreadable(row),
    }


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
