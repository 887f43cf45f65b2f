"""The test site's account as one that is connected by consent, and short ways to change what it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django_ctct import conf, tokens
from django_ctct.backends.oauth2 import Grant
from django_ctct.models import Account, DatabaseNow
from django_ctct.tokens import TokenStore

from .server import TokenServer

BACKEND = "tests.oauth.wire.ConsentBackend"


def settings_for(ctct: Any, server: TokenServer, **options: Any) -> dict[str, Any]:
    """Return the settings with the default account connected by consent at this server."""
    told = server.options(account="oauth", api_url=f"{server.url}/api", **options)
    account = {"BACKEND": BACKEND, "OPTIONS": told, "CALLS_PER_SECOND": 1000}
    return {**ctct, "ACCOUNTS": {**ctct["ACCOUNTS"], "default": account}}


def account() -> Account:
    return Account.objects.for_alias("default")


def connect(server: TokenServer) -> Account:
    """Connect the account as its owner would, without the browser."""
    told = server.issue()
    grant = Grant(told["access_token"], told.get("refresh_token", ""), int(server.expires_in), "")
    tokens.keep(account(), grant, by="chief")
    rest_is_over()
    return account()


def held() -> Any:
    """Return what is sealed in the row."""
    return tokens._Tokens.unsealed(account().tokens)


def expire(left: timedelta = timedelta(minutes=-1)) -> None:
    """Let the access token end in a while, or have ended."""
    row = Account.objects.annotate(moment=DatabaseNow()).get(alias="default")
    sealed = replace(tokens._Tokens.unsealed(row.tokens), expires=row.moment + left).sealed()  # type: ignore[attr-defined]
    Account.objects.filter(pk=row.pk).update(tokens=sealed)
    rest_is_over()


def rest_is_over() -> None:
    Account.objects.update(token_lease=None, token_lease_until=None)


def store(patience: float = 5.0) -> TokenStore:
    """Return a store as a worker has it."""
    return TokenStore(account(), tokens.oauth_client(conf.account()), patience=patience)
