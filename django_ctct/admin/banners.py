"""What staff should know before they look at anything else: a connection that ended, a plan that waits for them,
old news, people who left a list over there, keys without a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..catalogue import unbound_keys
from ..models import Account, ContactList
from ..pull import is_walking
from ..verdict.words import joined, moment, sentence
from .connection import known_aliases
from .departures import open_departures
from .news import stale_news
from .trouble import idle_days, standstill, trouble

__all__ = ["Banner", "banners", "connection_banners"]


@dataclass(frozen=True, slots=True)
class Banner:
    """A warning, and what to do about it.

    ``act`` names a button for who may press it: ``connect``, ``adopt``, ``plan`` or ``review``.
    """

    text: str
    advice: str = ""
    act: str = ""
    account: Account | None = None


def banners(accounts: Iterable[Account]) -> list[Banner]:
    """Return the warnings of these accounts and their lists. It reads tables only."""
    rows = list(accounts)
    found: list[Banner] = []
    for account in rows:
        name = f"{account.alias}: " if len(rows) > 1 else ""
        found += [*connection_banners(account, name), *_unbound(account, name), *_missing(account, name)]
        found += _to_review(account, name)
    return [replace(one, text=sentence(one.text)) for one in found]


def connection_banners(account: Account, name: str = "") -> Iterable[Banner]:
    """Yield what keeps anything from being sent for an account."""
    if found := trouble(account):
        yield Banner(f"{name}{found.text}", found.advice, found.act, account)
        return
    yield from _idle(account, name)
    yield from _not_approved(account, name)
    yield from _old_news(account, name)
    if found := standstill(account):
        yield Banner(f"{name}{found.text}", found.advice, account=account)


def _not_approved(account: Account, name: str) -> Iterable[Banner]:
    if account.approved_at is None and account.alias in known_aliases():
        text = _("%(name)sNothing is sent yet: read the plan and approve it.") % {"name": name}
        advice = _("Until somebody has, changes of members wait here. Opt-outs are sent all the same.")
        yield Banner(text, advice, "plan", account)


def _old_news(account: Account, name: str) -> Iterable[Banner]:
    if account.alias in known_aliases() and (text := stale_news(account)):
        walking = account.pulled_at is None and is_walking(account)
        advice = _("Ask whoever runs the site whether its worker runs (ctct_pull). Removals and opt-outs go on.")
        yield Banner(f"{name}{text}", "" if walking else advice)


def _to_review(account: Account, name: str) -> Iterable[Banner]:
    if number := open_departures().filter(contact__account=account).values("contact").distinct().count():
        text = ngettext(
            "%(name)s%(n)s person left a list at Constant Contact, or was taken off there.",
            "%(name)s%(n)s people left a list at Constant Contact, or were taken off there.",
            number,
        )
        advice = _("They stay off. Have a look whether it was a mistake.")
        yield Banner(text % {"name": name, "n": number}, advice, "review", account)


def _idle(account: Account, name: str) -> Iterable[Banner]:
    if (days := idle_days(account)) is not None:
        text = _("%(name)sThe connection was not used for %(days)s days. Constant Contact ends it after 180.")
        advice = _(
            "Ask whoever runs the site whether its worker runs: the program that sends the changes. Connecting again "
            "helps in any case."
        )
        yield Banner(text % {"name": name, "days": days}, advice, "connect", account)


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
