"""Consents and tokens of the OAuth server: what was granted to the client, and what is still good.

It exists apart from the endpoints so that the v3 door can ask whether a token is good. It knows no HTTP. All
times are of the sandbox's clock. No token ever leaves it but to the client: ``state`` has counts only. Rules:
v3 sheet §1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

from django_ctct.sandbox.account import Account

SCOPES = frozenset(
    {
        *("contact_data", "campaign_data", "account_read", "account_update", "billing_data"),
        *("offline_access", "openid", "profile", "email"),
    }
)
CODE_LIFE = timedelta(seconds=300)
IDLE_LIFE = timedelta(days=180)
"""A refresh token that nobody used for so long is dead (§1.4)."""


class InvalidGrant(Exception):
    """Refuse a code, a verifier or a refresh token; the text says which, without it."""


@dataclass(frozen=True, slots=True)
class Access:
    """Say what a good access token allows."""

    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Consent:
    """Hold what a person allowed; ``public`` is a client without a secret."""

    scopes: frozenset[str]
    public: bool
    offline: bool


@dataclass(frozen=True, slots=True)
class _Code:
    consent: Consent
    redirect_uri: str
    challenge: str
    ends: datetime


@dataclass(frozen=True, slots=True)
class _Ticket:
    consent: Consent
    ends: datetime


class Grants:
    """Keep codes and tokens of one account; safe to share between threads."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._clear()
        account.at_reset(self._clear)

    def _clear(self) -> None:
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, _Ticket] = {}
        self._refresh: dict[str, _Ticket] = {}

    # Codes

    def issue_code(self, scopes: frozenset[str], redirect_uri: str, challenge: str = "") -> str:
        """Return a code that may be exchanged once within five minutes."""
        code = secrets.token_urlsafe(24)
        consent = Consent(scopes, bool(challenge), "offline_access" in scopes)
        with self._account.lock:
            self._codes[code] = _Code(consent, redirect_uri, challenge, self._now() + CODE_LIFE)
        return code

    def exchange(self, code: str, redirect_uri: str, verifier: str, *, secret_shown: bool) -> dict[str, Any]:
        """Return tokens for a code, or raise ``InvalidGrant``; a code that was tried is spent."""
        with self._account.lock:
            known = self._codes.pop(code, None)
            if known is None or known.ends <= self._now():
                raise InvalidGrant("The authorization code is invalid or expired.")
            if known.redirect_uri != redirect_uri:
                raise InvalidGrant("The redirect URI is not the one of the authorization request.")
            if known.challenge and not _verifies(verifier, known.challenge):
                raise InvalidGrant("The code verifier is wrong.")
            if not known.challenge and not secret_shown:
                raise InvalidGrant("The authorization code belongs to a client with a secret.")
            return self.grant(replace(known.consent, public=not secret_shown))

    # Tokens

    def grant(self, consent: Consent) -> dict[str, Any]:
        """Return fresh tokens for a consent, as the token endpoint says them."""
        with self._account.lock:
            return self._tokens(consent, self._issue_refresh(consent) if consent.offline else "")

    def refresh(self, token: str, *, secret_shown: bool) -> dict[str, Any]:
        """Return tokens for a refresh token, or raise ``InvalidGrant`` (§1.4: rotating or long-lived)."""
        with self._account.lock:
            known = self._refresh.get(token)
            if known is None or known.ends <= self._now() or known.consent.public is secret_shown:
                raise InvalidGrant("The refresh token is invalid or expired.")
            if self._account.switches.refresh_tokens == "long_lived":
                self._refresh[token] = replace(known, ends=self._now() + IDLE_LIFE)
                return self._tokens(known.consent, token)
            del self._refresh[token]
            return self._tokens(known.consent, self._issue_refresh(known.consent))

    def access(self, token: str) -> Access | None:
        """Return what an access token allows, or nothing if it is not good."""
        if compare_digest(token.encode(), self._account.credentials.access_token.encode()):
            return Access(SCOPES)
        known = self._access.get(token)
        if known is None or known.ends <= self._now():
            return None
        return Access(known.consent.scopes)

    # Levers

    def expire_access_tokens(self) -> None:
        """Let every access token be past its time; refresh tokens stay good."""
        with self._account.lock:
            self._access.clear()

    def revoke(self) -> None:
        """Take back every consent: codes and tokens of both kinds."""
        self._clear()

    def state(self) -> dict[str, Any]:
        """Return counts, and whether a client could still refresh."""
        with self._account.lock:
            now = self._now()
            refresh = sum(each.ends > now for each in self._refresh.values())
            access = sum(each.ends > now for each in self._access.values())
        return {"grant_alive": refresh > 0, "access_tokens": access, "refresh_tokens": refresh}

    def _issue_refresh(self, consent: Consent) -> str:
        token = secrets.token_urlsafe(32)
        self._refresh[token] = _Ticket(consent, self._now() + IDLE_LIFE)
        return token

    def _tokens(self, consent: Consent, refresh: str) -> dict[str, Any]:
        life = self._account.switches.access_token_life
        ends = self._now() + timedelta(seconds=life)
        access = _shaped_token(consent, ends)
        self._access[access] = _Ticket(consent, ends)
        return {
            "token_type": "Bearer",
            "expires_in": life,
            "access_token": access,
            **({"refresh_token": refresh} if refresh else {}),
            "scope": " ".join(sorted(consent.scopes)),
        }

    def _now(self) -> datetime:
        return self._account.clock.now()


def _verifies(verifier: str, challenge: str) -> bool:
    made = _unpadded(hashlib.sha256(verifier.encode()).digest())
    return compare_digest(made.encode(), challenge.encode())


def _shaped_token(consent: Consent, ends: datetime) -> str:
    """Return a token of the length and shape of the real ones: nobody may check its signature (§1.3)."""
    head = {"kid": secrets.token_urlsafe(32), "alg": "RS256"}
    claims = {
        "ver": 1,
        "jti": f"AT.{secrets.token_urlsafe(200)}",
        "iss": "https://identity.example.com/oauth2/sandbox",
        "aud": "https://api.cc.email/v3",
        "exp": int(ends.timestamp()),
        "scp": sorted(consent.scopes),
        "sub": "owner@example.com",
    }
    parts = (json.dumps(part).encode() for part in (head, claims))
    return ".".join([*(_unpadded(part) for part in parts), _unpadded(secrets.token_bytes(256))])


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
