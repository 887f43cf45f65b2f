"""Secrets at rest: what is sealed here can be read with the site's keys and in no other way; and the keyed
hashes under which an address is remembered after it was erased.

The keys are ``CTCT["SECRET_KEYS"]``, the newest first; without them one is derived from the site's ``SECRET_KEY``.
A key that does not fit is an error, said loudly: sealed text is never handed out in place of the secret.
It may import conf and exceptions only.
"""

from __future__ import annotations

import base64
import hmac
from functools import lru_cache
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from . import conf
from .exceptions import ConfigurationError

__all__ = ["address_hash", "address_hashes", "is_newest", "key_names", "new_key", "reseal", "seal", "unseal"]

#: Sets this use of the site's SECRET_KEY apart from every other.
_PURPOSE = b"django_ctct: secrets at rest"
_HASHING = b"django_ctct: names of addresses"


def seal(secret: str) -> str:
    """Return a secret encrypted with the newest key."""
    return _keys().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed. Raise ``ConfigurationError`` when none of the keys fits, or it was tampered with."""
    try:
        return _keys().decrypt(sealed.encode()).decode()
    except (InvalidToken, UnicodeError):
        raise ConfigurationError(
            "The stored tokens cannot be read with the site's keys. Put the key that sealed them back, behind the "
            "newest one in CTCT['SECRET_KEYS'] (or in SECRET_KEY_FALLBACKS), or connect the account again."
        ) from None


def reseal(sealed: str) -> str:
    """Return the same secret, encrypted anew with the newest key."""
    return seal(unseal(sealed))


def is_newest(sealed: str) -> bool:
    """Say whether something was sealed with the newest key."""
    try:
        Fernet(_all_keys()[0]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def address_hash(address: str) -> str:
    """Return the name under which a normalised address is remembered: the id of the newest key, and a digest."""
    return address_hashes(address)[0]


def address_hashes(address: str) -> tuple[str, ...]:
    """Return its names under all of the site's keys, the newest first: to look it up before all are renewed."""
    return tuple(_named(key, address) for key in _all_keys())


def key_names() -> tuple[str, ...]:
    """Return what the hashes of each key begin with, the newest first: so that one can tell what a key is still for."""
    return tuple(dict.fromkeys(_name(_hash_key(key)) for key in _all_keys()))


def _named(key: bytes, address: str) -> str:
    secret = _hash_key(key)
    return f"{_name(secret)}:{hmac.new(secret, address.encode(), sha256).hexdigest()}"


def _name(secret: bytes) -> str:
    return sha256(secret).hexdigest()[:8]  # tells keys apart, and nothing about them


@lru_cache(maxsize=16)
def _hash_key(key: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_HASHING).derive(key)


def new_key() -> str:
    """Return a fresh key for ``CTCT["SECRET_KEYS"]``."""
    return Fernet.generate_key().decode()


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in _all_keys()])


def _all_keys() -> list[bytes]:
    """Return the keys, newest first. Those of ``SECRET_KEY`` stay readable, so that own keys can be added later."""
    own = [key.encode() for key in conf.read().secret_keys]
    return [*own, *(_derived(one) for one in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))]


@lru_cache(maxsize=16)
def _derived(secret: str | bytes) -> bytes:
    raw = secret if isinstance(secret, bytes) else secret.encode()
    return base64.urlsafe_b64encode(HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(raw))
