"""How current the site's knowledge of Constant Contact is, in words: what was read when, and what waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from ..ledger import CATCH_UP
from ..models import Account
from ..pull import is_walking
from ..verdict.words import ago

__all__ = ["News", "news", "stale_news"]


@dataclass(frozen=True, slots=True)
class News:
    """``read`` and ``walk`` are sentences for the account's page; ``behind`` says that adds wait."""

    read: str
    at: datetime | None
    behind: bool
    walk: str


def news(account: Account) -> News:
    """Say how current an account is. It reads the row."""
    read = _("%(ago)s ago") % {"ago": ago(account.pulled_at)} if account.pulled_at else _("never")
    return News(read, account.pulled_at, _is_behind(account), _walk(account))


def stale_news(account: Account) -> str:
    """Return the warning that adds wait for the news; empty where they do not."""
    if not _is_behind(account):
        return ""
    if account.pulled_at is not None:
        text = _("News from Constant Contact was last read %(ago)s ago. Until it is read, nobody is added to a list.")
        return text % {"ago": ago(account.pulled_at)}
    if is_walking(account):
        text = _(
            "All contacts at Constant Contact are being read for the first time: %(n)s so far. Until that is done, "
            "nobody is added to a list."
        )
        return text % {"n": account.walk_seen}
    return _("What is at Constant Contact was never read. Until it is, nobody is added to a list.")


def _is_behind(account: Account) -> bool:
    return account.pulled_at is None or timezone.now() - account.pulled_at > CATCH_UP


def _walk(account: Account) -> str:
    if is_walking(account):
        told = {"ago": ago(account.walk_begun_at), "n": account.walk_seen}
        return _("under way for %(ago)s, %(n)s seen so far") % told
    if account.walk_ended_at is None:
        return _("never")
    return _("%(ago)s ago, %(n)s seen") % {"ago": ago(account.walk_ended_at), "n": account.walk_seen}
