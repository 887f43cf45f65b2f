"""What staff should know before they look at anything else: keys without a list, refused credentials, a pause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..catalogue import unbound_keys
from ..models import Account, ContactList
from .words import joined, moment, sentence

__all__ = ["Banner", "banners", "connection_banners"]


@dataclass(frozen=True, slots=True)
class Banner:
    """A warning, and what to do about it."""

    text: str
    advice: str = ""


def banners(accounts: Iterable[Account]) -> list[Banner]:
    """Return the warnings of these accounts and their lists. It reads tables only."""
    rows = list(accounts)
    found: list[Banner] = []
    for account in rows:
        name = f"{account.alias}: " if len(rows) > 1 else ""
        found += [*connection_banners(account, name), *_unbound(account, name), *_missing(account, name)]
    return [Banner(sentence(one.text), one.advice) for one in found]


def connection_banners(account: Account, name: str = "") -> Iterable[Banner]:
    """Yield what keeps anything from being sent for an account."""
    if account.auth_failed_at is not None:
        text = _("%(name)sConstant Contact has refused the credentials since %(at)s. Nothing is sent meanwhile.")
        advice = _("Put the credentials right in the site's settings, then check the connection.")
        yield Banner(text % {"name": name, "at": moment(account.auth_failed_at)}, advice)
    elif account.paused_until is not None and account.paused_until > timezone.now():
        text = _("%(name)sCalls are paused until %(at)s: %(why)s.")
        yield Banner(text % {"name": name, "at": moment(account.paused_until), "why": account.pause_reason})


def _unbound(account: Account, name: str) -> Iterable[Banner]:
    keys = sorted(unbound_keys(account))
    if keys:
        text = ngettext(
            "%(name)sNo list is bound to the key %(keys)s. Members who belong on it wait.",
            "%(name)sNo lists are bound to the keys %(keys)s. Members who belong on them wait.",
            len(keys),
        )
        quoted = joined([f"“{key}”" for key in keys])
        advice = _("Read the lists, open the right one under Contact lists and bind it to the key.")
        yield Banner(text % {"name": name, "keys": quoted}, advice)


def _missing(account: Account, name: str) -> Iterable[Banner]:
    for one in ContactList.objects.filter(account=account, key__isnull=False, missing_since__isnull=False):
        text = _("%(name)sThe list “%(list)s” (key “%(key)s”) has been missing at Constant Contact since %(at)s.")
        values = {"name": name, "list": one.name, "key": one.key, "at": moment(one.missing_since)}
        yield Banner(text % values, _("Bind the key to another list, or make the list anew at Constant Contact."))
