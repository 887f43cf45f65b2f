"""The token store: one account's OAuth 2 tokens, shared by all workers, renewed by one of them at a time.

A rotating refresh token is good once, so two renewals at a time destroy the grant and a person has to consent
again. What keeps it alive: a lease, taken by a compare-and-swap that names the version it read, so that the
second look is part of the claim; what came back is stored before it is used; and ``invalid_grant`` counts only
while nobody has stored anything newer. All times are the database's. Waits are bounded. An error report shows
no variable of what goes through here, down to the wire and the database (``sensitive_variables``).
It may import vault, environment, outbox, models, backends, conf, signals and exceptions.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.mail import mail_admins
from django.db import InterfaceError, OperationalError, connections, router, transaction
from django.db.models import F, Q, QuerySet
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from . import conf, environment, outbox, signals, vault
from .backends.base import BaseBackend
from .backends.oauth2 import Grant, GrantRefused, OAuthClient
from .exceptions import AuthenticationFailed, ConfigurationError, RateLimited, RemoteError
from .models import Account, AuthState, DatabaseNow, moment_of

__all__ = [
    "IDLE_END",
    "IDLE_WARNING",
    "TokenStore",
    "forget",
    "keep",
    "oauth_client",
    "reseal",
    "unreadable",
    "uses_consent",
    "wire",
]

logger = logging.getLogger(__name__)

#: Constant Contact ends a refresh token that nobody used for so long (protocol sheet §1.4) …
IDLE_END = timedelta(days=180)
#: … so people are told from here on, and the sweep renews one that has been idle for ``IDLE_RENEWAL``.
IDLE_WARNING = timedelta(days=150)
IDLE_RENEWAL = timedelta(days=30)

#: Renewed when less than a tenth of its life is left, or five minutes, but never before half of it is over.
RENEW_SHARE, RENEW_LEAST = 0.1, timedelta(minutes=5)
#: Longer than one request to the token endpoint (``TOTAL_SECONDS``) and the storing of its answer (``INSIST``) can
#: take: whoever renewed meanwhile would send a token that is dead already. A worker that dies with it keeps the
#: others so long, who use the present token meanwhile.
LEASE = timedelta(seconds=120)
#: The token endpoint takes one call a second (sheet §1.4).
SPACING = timedelta(seconds=1.1)
#: After a failure nobody asks again for so long, except that a 429 says it itself, up to ``LONGEST_REST``.
REST, LONGEST_REST = timedelta(seconds=15), timedelta(minutes=10)
#: How long a call waits for another worker's renewal (seconds), and how often it looks.
PATIENCE, POLL = 10.0, 0.1
#: How long a statement that must not fail is tried again (seconds), because what it stores exists nowhere else; and
#: the rests between, from the first to the longest.
INSIST, FIRST_REST, LAST_REST = 60.0, 0.2, 5.0

_NOW = DatabaseNow()


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What is sealed in the row. ``life`` is what the access token lasts from new (seconds)."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: datetime
    life: int
    scope: str = ""

    def sealed(self) -> str:
        return vault.seal(json.dumps({**asdict(self), "expires": self.expires.isoformat()}))

    @classmethod
    def unsealed(cls, sealed: str) -> _Tokens:
        found = json.loads(vault.unseal(sealed))
        return cls(**{**found, "expires": datetime.fromisoformat(found["expires"])})


@dataclass(frozen=True, slots=True)
class _Seen:
    """The row at one moment, ``now``."""

    now: datetime
    version: int
    state: AuthState
    tokens: _Tokens | None
    leased: bool
    busy_until: datetime | None

    def good(self, refused: str = "") -> bool:
        """Say whether the access token can still be used."""
        return self.tokens is not None and self.tokens.access != refused and self.tokens.expires > self.now

    def fresh(self, refused: str = "") -> bool:
        """Say whether it is good and need not be renewed yet."""
        if self.tokens is None or not self.good(refused):
            return False
        life = timedelta(seconds=self.tokens.life)
        return self.tokens.expires - self.now > min(max(life * RENEW_SHARE, RENEW_LEAST), life / 2)

    def wait(self) -> float:
        """Return the seconds until the next call to the token endpoint is allowed."""
        return max(0.0, (self.busy_until - self.now).total_seconds()) if self.busy_until else 0.0

    def renewable(self) -> bool:
        return self.state == AuthState.CONNECTED and self.tokens is not None and bool(self.tokens.refresh)


class TokenStore:
    """The tokens of one account, as a wire asks for them (``backends.base.Tokens``).

    Use it outside of transactions: what it stores must be there whatever becomes of the caller.
    """

    def __init__(self, account: Account, client: OAuthClient, *, patience: float = PATIENCE) -> None:
        """Raise ``ConfigurationError`` at once when the stored tokens cannot be read."""
        self._account = account
        self._client = client
        self._patience = patience
        if account.tokens:
            vault.unseal(account.tokens)

    def __repr__(self) -> str:
        return f"<TokenStore {self._account.alias}>"

    @sensitive_variables()
    def current(self) -> str:
        """Return an access token that should be good for a while, renewed first when it is about to end."""
        return self._renewed(self._look(), "")

    @sensitive_variables()
    def instead_of(self, refused: str) -> str:
        """Return another token than the one that was refused: another worker's, or a new one."""
        return self._renewed(self._look(), refused)

    @sensitive_variables()
    def keep_alive(self) -> None:
        """Renew what has been idle for long, so that the grant does not end. Raise nothing that calls have to say."""
        idle = Account.objects.filter(auth_state=AuthState.CONNECTED, refreshed_at__lt=_NOW - IDLE_RENEWAL)
        if not idle.filter(pk=self._account.pk).exists():
            return
        seen = self._look()
        try:
            if seen.renewable() and (lease := self._claim(seen)):
                self._renew(seen, lease, "")
        except RemoteError as error:
            logger.warning("account %s: not renewed while idle: %s", self._account.alias, error.code)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    # One look at the row, and one way through it

    def _look(self) -> _Seen:
        row = Account.objects.annotate(moment=_NOW).get(pk=self._account.pk)
        now, until = moment_of(row), row.token_lease_until
        if until is not None and until > now + LONGEST_REST:
            until = None  # nobody holds it so long: the database's clock was set back
        return _Seen(
            now=now,
            version=row.token_version,
            state=AuthState(row.auth_state),
            tokens=_Tokens.unsealed(row.tokens) if row.tokens else None,
            leased=row.token_lease is not None,
            busy_until=until,
        )

    def _renewed(self, seen: _Seen, refused: str) -> str:
        """Return a token that is fresh and not ``refused``: renewed here, or by a worker whom we wait for."""
        ends = time.monotonic() + self._patience
        while not seen.fresh(refused):
            if not seen.renewable():
                return self._last_of(seen, refused)
            if lease := self._claim(seen):
                return self._renew(seen, lease, refused)
            if seen.good(refused):
                return self._access(seen)
            self._wait(seen, ends)
            seen = self._look()
        return self._access(seen)

    def _wait(self, seen: _Seen, ends: float) -> None:
        """Sleep a little. Raise ``RateLimited`` when that cannot help within our patience."""
        left = ends - time.monotonic()
        if left <= 0 or (not seen.leased and seen.wait() > left):
            text = "The account's tokens are being renewed, or had to rest."
            raise RateLimited(text, retry_after=max(1.0, seen.wait()), code="busy")
        time.sleep(POLL * (0.5 + random.random()))  # noqa: S311 - spreads looks, guards nothing

    def _renew(self, seen: _Seen, lease: UUID, refused: str) -> str:
        assert seen.tokens is not None  # noqa: S101 - renewable() said so
        try:
            grant = self._client.refresh(seen.tokens.refresh)
        except RemoteError as error:
            if isinstance(error, GrantRefused) and error.code == "invalid_grant":
                return self._given_up(seen, lease, refused)
            self._rest(lease, error)
            if seen.good(refused):
                return self._access(seen)
            raise
        return self._stored(seen, grant)

    def _stored(self, seen: _Seen, grant: Grant) -> str:
        """Store a grant before it is used. Whoever stored meanwhile, a person perhaps, knows better."""
        new = _tokens_of(grant, seen.now, seen.tokens)
        # Not bound to the lease: even a worker that slept through it holds the one refresh token that is good.
        if _insist(lambda: self._at(seen).update(**_columns(new))):
            logger.info("account %s: tokens renewed", self._account.alias)
            return new.access
        return self._last_of(self._look(), "")

    def _given_up(self, seen: _Seen, lease: UUID, refused: str) -> str:
        """Look once more before giving up: the token may be dead because another one has taken its place."""
        ended = self._at(seen).filter(auth_state=AuthState.CONNECTED)
        freed = {"token_lease": None, "token_lease_until": _NOW + SPACING}
        if _insist(lambda: ended.update(auth_state=AuthState.RECONNECT, **freed)):
            _call_for_a_person(self._account, "invalid_grant")
        else:
            Account.objects.filter(pk=self._account.pk, token_lease=lease).update(**freed)
        return self._last_of(self._look(), refused)

    def _last_of(self, seen: _Seen, refused: str) -> str:
        """Use what there is to its end. Raise ``AuthenticationFailed`` when only a person can help."""
        if seen.good(refused):
            return self._access(seen)
        if seen.tokens is None:
            raise AuthenticationFailed("The account is not connected to Constant Contact yet.", code="not_connected")
        if seen.renewable():  # whoever stored it meanwhile did so long ago, by the clock: ask anew
            raise RateLimited("The account's tokens are being renewed.", retry_after=1.0, code="busy")
        if self._at(seen).filter(auth_state=AuthState.CONNECTED).update(auth_state=AuthState.RECONNECT):
            _call_for_a_person(self._account, "no_refresh_token")
        raise AuthenticationFailed("The account must be connected to Constant Contact again.", code="reconnect")

    def _access(self, seen: _Seen) -> str:
        assert seen.tokens is not None  # noqa: S101 - good() and fresh() said so
        return seen.tokens.access

    # The lease

    def _claim(self, seen: _Seen) -> UUID | None:
        """Take the right to renew what was seen, in a statement of its own. Return None when another one has it."""
        lease = uuid4()
        with transaction.atomic(durable=True):
            taken = self._at(seen).filter(_free()).update(token_lease=lease, token_lease_until=_NOW + LEASE)
        return lease if taken else None

    def _rest(self, lease: UUID, error: RemoteError) -> None:
        """Give the lease back so that nobody asks again too soon."""
        told = timedelta(seconds=error.retry_after) if isinstance(error, RateLimited) else REST
        held = Account.objects.filter(pk=self._account.pk, token_lease=lease)
        held.update(token_lease=None, token_lease_until=_NOW + min(max(told, SPACING), LONGEST_REST))
        logger.warning("account %s: tokens not renewed: %s", self._account.alias, error.code)

    def _at(self, seen: _Seen) -> QuerySet[Account]:
        """Return the row as long as nobody has stored anything since."""
        return Account.objects.filter(pk=self._account.pk, token_version=seen.version)


# Accounts, and the tokens that a person's consent gives them


def wire(settings: conf.AccountSettings) -> type[BaseBackend]:
    """Return an account's backend class. Raise ``ConfigurationError`` when it cannot be imported."""
    try:
        found: type[BaseBackend] = import_string(settings.backend)
    except ImportError as error:
        where = f"CTCT['ACCOUNTS'][{settings.alias!r}]['BACKEND']"
        raise ConfigurationError(f"{where} cannot be imported: {error}") from error
    return found


def uses_consent(settings: conf.AccountSettings) -> bool:
    """Say whether an account is connected by consent, and not by credentials in the settings."""
    return wire(settings).uses_tokens and not settings.options.get("access_token")


def oauth_client(settings: conf.AccountSettings) -> OAuthClient:
    """Return the account's way to the OAuth server, to be closed. ``ConfigurationError``: it does not have one."""
    if not uses_consent(settings):
        raise ConfigurationError(
            f"The account {settings.alias!r} has its credentials in the settings: there is nothing to connect."
        )
    return OAuthClient(settings.options)


@sensitive_variables()
def keep(account: Account, grant: Grant, *, by: str) -> None:
    """Store what a person's consent gave, mark this place as the account's own, and end what was paused for it."""
    row = Account.objects.annotate(moment=_NOW).get(pk=account.pk)
    connected = {
        **_columns(_tokens_of(grant, moment_of(row), None)),
        "connected_at": _NOW,
        "connected_by": by[:150],
        "environment": environment.mark(),
        "auth_failed_at": None,
        "paused_until": None,
        "pause_reason": "",
        "wire_memory": {},  # it may be another account's
    }
    _insist(lambda: Account.objects.filter(pk=account.pk).update(**connected))
    outbox.wake(account.alias)
    logger.info("account %s: connected", account.alias)


def forget(account: Account) -> None:
    """Disconnect: forget the tokens, and with them the place. A renewal under way has nowhere to store its own."""
    Account.objects.filter(pk=account.pk).update(
        tokens="",
        token_version=F("token_version") + 1,
        auth_state=AuthState.NEVER,
        token_lease=None,
        environment="",
    )
    logger.info("account %s: disconnected", account.alias)


@sensitive_variables()
def reseal(account: Account) -> bool:
    """Seal the tokens with the newest key. Return False when they are already, or there are none."""
    row = Account.objects.get(pk=account.pk)
    if not row.tokens or vault.is_newest(row.tokens):
        return False
    anew = vault.reseal(row.tokens)
    # A worker that renewed them meanwhile has sealed them with the newest key itself.
    return bool(Account.objects.filter(pk=row.pk, token_version=row.token_version).update(tokens=anew))


def unreadable(account: Account) -> bool:
    """Say whether there are tokens that none of the site's keys can read."""
    if not account.tokens:
        return False
    try:
        vault.unseal(account.tokens)
    except ConfigurationError:
        return True
    return False


def _tokens_of(grant: Grant, since: datetime, before: _Tokens | None) -> _Tokens:
    """Date a grant from before it was asked for, so that it never seems to last longer than it does."""
    refresh = grant.refresh or (before.refresh if before else "")
    expires = since + timedelta(seconds=grant.seconds)
    return _Tokens(grant.access, refresh, expires, grant.seconds, grant.scope)


def _columns(tokens: _Tokens) -> dict[str, Any]:
    return {
        "tokens": tokens.sealed(),
        "token_version": F("token_version") + 1,
        "auth_state": AuthState.CONNECTED,
        "refreshed_at": _NOW,
        "token_lease": None,
        "token_lease_until": _NOW + SPACING,
    }


def _free() -> Q:
    """Return the condition under which a lease can be taken; one that ends absurdly late was never given."""
    none = Q(token_lease_until__isnull=True)
    return none | Q(token_lease_until__lte=_NOW) | Q(token_lease_until__gt=_NOW + LONGEST_REST)


def _insist(statement: Callable[[], int], seconds: float = INSIST) -> int:
    """Execute a statement on its own, again and again for so long while the database is busy or gone.

    What is lost with the connection is not known to have failed, so it may be executed twice.
    """
    ends, rest = time.monotonic() + seconds, FIRST_REST
    while True:
        try:
            return statement()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() + rest > ends:
                raise
            logger.warning("the tokens could not be stored, which is tried again: %s", type(error).__name__)
            connections[router.db_for_write(Account)].close_if_unusable_or_obsolete()
        time.sleep(rest)
        rest = min(rest * 2, LAST_REST)


def _call_for_a_person(account: Account, code: str) -> None:
    """Say that a consent has ended: by log, signal and mail, once, by the worker that noted it."""
    logger.error("account %s: a person must connect it to Constant Contact again (%s)", account.alias, code)
    signals.reconnect_needed.send_robust(Account, account=account)
    try:
        mail_admins(
            f"Constant Contact: connect “{account.alias}” again",
            f"Constant Contact does not accept the consent for the account “{account.alias}” any more.\n"
            "Changes of members wait until somebody connects it again; nothing is lost.\n\n"
            "In the site's admin, open Constant Contact, Accounts, this account, and press “Connect to Constant "
            f"Contact”. In a terminal: manage.py ctct_connect --account {account.alias}\n",
        )
    except Exception as error:  # noqa: BLE001 - a mail server's trouble must not stop a worker
        logger.warning("account %s: the mail to ADMINS failed: %s", account.alias, type(error).__name__)
