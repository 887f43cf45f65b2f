"""Signed links for members: to their preference page, and to unsubscribe. They need no login and no row.

A link holds what it is for, the account, the address, the list and when it was made, sealed by ``vault``: nobody
can read the address in it, make one or change one. The address is inside, and not its hash or a row's id, because
an unsubscribe has to work for addresses that the site never knew or has erased. It belongs to that address for
ever: after a change of address the old link says nothing about the new one. What a link is *for* is part of what is
sealed, as a salt would be: one kind is never taken for another, nor is any other secret of the site taken for one.

A preference link can bring letters back, so it ends after ``LIFETIME``, and brings back nothing that was stopped
after it was made: letters are passed on, and an old link may be anybody's. Only the page itself, when it saves what
its visitor has just changed, goes on with a link that knows of that (``renewed_path``); the end stays where it was. It
knows nothing of what the owner did at Constant Contact since the link was mailed, which is heard of later. An
unsubscribe link has no end: the most that an old one can do is to stop letters, and a person who finds that it does
not work calls the letter spam. (The law asks for 30 to 60 days.) Both end with the key that sealed them.

Whoever passes a link on passes on what it may do, and so does a log. This room writes nothing to one. It may
import vault, conf, models, types and exceptions only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.policy import Policy
from enum import StrEnum

from django.urls import reverse
from django.utils import timezone

from . import conf, vault
from .exceptions import ConfigurationError
from .models import Account, DatabaseNow, moment_of
from .types import normalise_address

__all__ = [
    "EVERYTHING",
    "LIFETIME",
    "BadLink",
    "Purpose",
    "SignedLink",
    "preferences_url",
    "read",
    "renewed_path",
    "seal",
    "unsubscribe_headers",
    "unsubscribe_url",
]

#: How long a link to the preference page works.
LIFETIME = timedelta(days=30)
#: In place of a list's key: all letters of the account.
EVERYTHING = ""
#: Tells what is sealed here from every other sealed text, and from links of another make.
_MAKE = "ctct-link-1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: As much as ``Contact.email`` holds.
_LONGEST_ADDRESS = 254
#: No link of ours is as long: whatever is, is not worth the decrypting.
_LONGEST = 2000


class BadLink(Exception):
    """A link that does not work: broken, forged, for another page, or too old. The text says nothing about it."""


class Purpose(StrEnum):
    """What a link is for."""

    PREFERENCES = "preferences"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a link says. ``key`` is a list's, or ``EVERYTHING``.

    ``issued`` is up to when it knows of opt-outs on the site; ``born`` is when it was mailed. Both are aware.
    """

    purpose: Purpose
    account: str
    address: str = field(repr=False)
    issued: datetime
    born: datetime
    key: str = EVERYTHING

    @property
    def hint(self) -> str:
        """Return enough of the address for its owner to know it: a link may be opened by somebody else."""
        name, _at, domain = self.address.rpartition("@")
        return f"{name[:1]}***@{domain}"

    def knows_of(self, stopped_at: datetime | None, *, over_there: bool) -> bool:
        """Say whether what was stopped then was stopped before this link, which may bring it back.

        Of what happened ``over_there``, at Constant Contact, only its mailing tells: it came to the owner after that.
        A renewed link is whoever's pressed the button, before the site had heard of it.
        """
        return stopped_at is None or (self.born if over_there else self.issued) >= stopped_at


def preferences_url(address: str, *, account: str = conf.DEFAULT_ACCOUNT, root: str = "") -> str:
    """Return the way to an address's preference page. Raise ``ValueError`` for what cannot be an address.

    ``root`` is where the site is, like ``https://example.org``; without it the URL begins at the path. The page
    takes what is pressed there for the owner's own act, so hand the link out in a letter to that very address, or
    to a member who is logged in and has proved that the address is hers.
    """
    moment = _moment(account)
    return _url(SignedLink(Purpose.PREFERENCES, account, _address(address), moment, moment), root)


def renewed_path(link: SignedLink) -> str:
    """Return the way to the same page by a link that knows of what was stopped here until now.

    Call it for a visitor who has just changed something. The link ends when this one does.
    """
    return _url(replace(link, issued=_moment(link.account)), "")


def unsubscribe_url(address: str, key: str = EVERYTHING, *, account: str = conf.DEFAULT_ACCOUNT, root: str = "") -> str:
    """Return the way to leave one list, or without a ``key`` all letters, with one press. No statement is made."""
    moment = timezone.now()
    return _url(SignedLink(Purpose.UNSUBSCRIBE, account, _address(address), moment, moment, key), root)


def unsubscribe_headers(
    address: str, key: str = EVERYTHING, *, account: str = conf.DEFAULT_ACCOUNT, root: str
) -> dict[str, str]:
    """Return the headers that give a letter its one-click unsubscribe (RFC 8058), for ``EmailMessage(headers=…)``.

    They count only where ``root`` is https and the letter's DKIM signature covers both.
    """
    url = unsubscribe_url(address, key, account=account, root=root)
    return {
        "List-Unsubscribe": _OneLine(f"<{url}>"),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


class _OneLine(str):
    """The header's value, kept as it is.

    Python's newer e-mail API, which Django uses from 6.0 on, breaks a word longer than a line into encoded-words,
    and no mail programme finds a URL in those. It leaves alone what has a name and folds itself.
    """

    __slots__ = ()
    name = "List-Unsubscribe"

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


def seal(link: SignedLink) -> str:
    """Return a link as text that can stand in a URL."""
    times = [_number(link.issued), _number(link.born)]
    told = [_MAKE, link.purpose.value, link.account, link.key, *times, link.address]
    return vault.seal(json.dumps(told, ensure_ascii=False, separators=(",", ":"))).rstrip("=")


def read(token: str, purpose: Purpose) -> SignedLink:
    """Return what a link says. Raise ``BadLink`` when it is not one for this purpose, or too old for it."""
    link = _read(token)
    if link.purpose is not purpose or link.account not in conf.read().accounts:
        raise BadLink("This link is not for this page.")
    if purpose is Purpose.PREFERENCES and _moment(link.account) - link.born > LIFETIME:
        raise BadLink("This link is too old.")
    return link


def _read(token: str) -> SignedLink:
    if len(token) > _LONGEST:
        raise BadLink("This link is too long.")
    try:
        told = json.loads(vault.unseal(token + "=" * (-len(token) % 4)))
        make, purpose, account, key, issued, born, address = told
        if make != _MAKE:
            raise ValueError
        return SignedLink(Purpose(purpose), account, address, _time(issued), _time(born), key)
    except (ConfigurationError, TypeError, ValueError):
        raise BadLink("This link cannot be read.") from None


def _number(time: datetime) -> int:
    """Return microseconds: a link's time is compared with times that are as exact."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(number: int) -> datetime:
    return _EPOCH + timedelta(microseconds=number)


def _url(link: SignedLink, root: str) -> str:
    return root.rstrip("/") + reverse(f"django_ctct:{link.purpose.value}", args=[seal(link)])


def _address(raw: str) -> str:
    address = normalise_address(raw)
    if not 0 < address.find("@") < len(address) - 1 or len(address) > _LONGEST_ADDRESS:
        raise ValueError("There is no link for what cannot be an e-mail address.")
    return address


def _moment(alias: str) -> datetime:
    """Return the database's time: that an opt-out is later than a link is decided by one clock."""
    account = Account.objects.for_alias(conf.account(alias).alias)
    return moment_of(Account.objects.annotate(moment=DatabaseNow()).get(pk=account.pk))
