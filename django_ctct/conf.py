"""The one reader of ``settings.CTCT``.

It turns the dict into frozen values and says in one sentence what is wrong with it. Nothing else in the
package touches ``settings.CTCT``. It may import exceptions only.
"""

from __future__ import annotations

import base64
import binascii
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from .exceptions import ConfigurationError

__all__ = ["KICKS", "AccountSettings", "Settings", "account", "nearest", "read"]

DEFAULT_ACCOUNT = "default"
KICKS = ("thread", "inline", "off")
_KEYS = ("ACCOUNTS", "ADAPTERS", "ENVIRONMENT", "KICK", "QUEUE", "SECRET_KEYS")


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One entry of ``ACCOUNTS``. The limits are those of the API key (v1 §8: 4 a second, 10,000 a UTC day)."""

    alias: str
    backend: str
    options: Mapping[str, Any] = field(repr=False)
    calls_per_second: float = 4.0
    calls_per_day: int = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """``settings.CTCT``, checked.

    ``kick`` says how a committed change wakes a worker: ``thread`` (default: published off the request's path),
    ``inline`` (published by the committing thread; for scripts), ``off`` (only the sweep and ``ctct_drain``).
    ``environment`` names the place where the site runs, ``secret_keys`` seal its tokens, the newest first.
    """

    accounts: Mapping[str, AccountSettings]
    adapters: tuple[str, ...] = ()
    kick: str = "thread"
    queue: str | None = None
    environment: str = ""
    secret_keys: tuple[str, ...] = field(default=(), repr=False)


def read() -> Settings:
    """Return the settings. Raise ``ConfigurationError`` where they cannot be used as written."""
    return _read()


def account(alias: str = DEFAULT_ACCOUNT) -> AccountSettings:
    """Return one account's settings. Raise ``ConfigurationError`` when there is no such account."""
    accounts = read().accounts
    if alias not in accounts:
        known = ", ".join(sorted(accounts)) or "none"
        raise ConfigurationError(f"CTCT['ACCOUNTS'] has no account {alias!r} (it has: {known}).")
    return accounts[alias]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for a misspelt word, or the choices."""
    choices = sorted(known)
    close = difflib.get_close_matches(str(word), choices, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(choices)}."


@lru_cache(maxsize=1)
def _read() -> Settings:
    raw = getattr(settings, "CTCT", None)
    if raw is None:
        raise ConfigurationError("settings.CTCT is missing. It needs at least {'ACCOUNTS': {'default': {…}}}.")
    table = _dict(raw, "CTCT", known=_KEYS)
    return Settings(
        accounts=_accounts(table.get("ACCOUNTS")),
        adapters=_adapters(table.get("ADAPTERS", ())),
        kick=_kick(table.get("KICK", "thread")),
        queue=_queue(table.get("QUEUE")),
        environment=_environment(table.get("ENVIRONMENT", "")),
        secret_keys=_secret_keys(table.get("SECRET_KEYS", ())),
    )


def _dict(value: object, where: str, *, known: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} must be a dict, not {type(value).__name__}.")
    for key in value:
        if key not in known:
            raise ConfigurationError(f"{where} has an unknown key {key!r}.{nearest(key, known)}")
    return value


def _accounts(raw: object) -> Mapping[str, AccountSettings]:
    if not isinstance(raw, Mapping) or not raw:
        raise ConfigurationError("CTCT['ACCOUNTS'] must name at least one account, like {'default': {'BACKEND': …}}.")
    return {alias: _account(str(alias), entry) for alias, entry in raw.items()}


def _account(alias: str, raw: object) -> AccountSettings:
    where = f"CTCT['ACCOUNTS'][{alias!r}]"
    entry = _dict(raw, where, known=("BACKEND", "OPTIONS", "CALLS_PER_SECOND", "CALLS_PER_DAY"))
    backend = entry.get("BACKEND")
    if not isinstance(backend, str) or "." not in backend:
        raise ConfigurationError(
            f"{where}['BACKEND'] must be a dotted path, like 'django_ctct.backends.atom_v1.AtomBackend'."
        )
    options = entry.get("OPTIONS", {})
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{where}['OPTIONS'] must be a dict, not {type(options).__name__}.")
    return AccountSettings(
        alias=alias,
        backend=backend,
        options=options,
        calls_per_second=_positive(entry.get("CALLS_PER_SECOND", 4.0), f"{where}['CALLS_PER_SECOND']"),
        calls_per_day=int(_positive(entry.get("CALLS_PER_DAY", 10_000), f"{where}['CALLS_PER_DAY']")),
    )


def _positive(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigurationError(f"{where} must be a number above 0.")
    return float(value)


def _adapters(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str) or not isinstance(raw, Iterable):
        raise ConfigurationError("CTCT['ADAPTERS'] must be a list of dotted paths, like ['members.ctct.Members'].")
    paths = tuple(raw)
    for path in paths:
        if not isinstance(path, str) or "." not in path:
            raise ConfigurationError(
                f"CTCT['ADAPTERS'] holds {path!r}, which is not a dotted path to an adapter class."
            )
    return paths


def _kick(raw: object) -> str:
    if raw not in KICKS:
        raise ConfigurationError(f"CTCT['KICK'] is {raw!r}.{nearest(str(raw), KICKS)}")
    return str(raw)


def _queue(raw: object) -> str | None:
    if raw is not None and (not isinstance(raw, str) or not raw):
        raise ConfigurationError("CTCT['QUEUE'] must be the name of a Celery queue, or None for the site's default.")
    return raw


def _environment(raw: object) -> str:
    if not isinstance(raw, str):
        raise ConfigurationError("CTCT['ENVIRONMENT'] must be a name, like 'production' or 'staging'.")
    return raw


def _secret_keys(raw: object) -> tuple[str, ...]:
    """Check the keys. The text names a key by its place and shows none of it."""
    if isinstance(raw, str) or not isinstance(raw, Iterable):
        raise ConfigurationError("CTCT['SECRET_KEYS'] must be a list of keys, the newest first.")
    keys = tuple(raw)
    for place, key in enumerate(keys):
        if not _is_secret_key(key):
            raise ConfigurationError(f"CTCT['SECRET_KEYS'][{place}] is not a key. Make one with ctct_keys --new.")
    return keys


def _is_secret_key(key: object) -> bool:
    try:
        return isinstance(key, str) and len(base64.b64decode(key, altchars=b"-_", validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def _forget(*, setting: str, **_: object) -> None:
    if setting == "CTCT":
        _read.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_ctct.conf")
