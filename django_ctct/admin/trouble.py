"""What keeps an account from being used: a copy of the database, a consent that ended, refused credentials, a pause.

Found once and said in the same words by the banners, the list of accounts and the account's page. It reads the
row and the settings, and calls nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from .. import conf, environment, services, tokens
from ..exceptions import ConfigurationError
from ..models import Account, AuthState
from ..verdict.words import error_sentence, moment, sentence

__all__ = ["Trouble", "consents", "idle_days", "standstill", "trouble", "wrong_settings"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, what to do, and by which button: ``adopt``, ``connect`` or none."""

    label: str
    text: str
    advice: str
    act: str = ""


def wrong_settings() -> str:
    """Say what is wrong with ``settings.CTCT`` as a whole; empty while it can be read."""
    try:
        conf.read()
    except ConfigurationError as error:
        return _("The settings of this site are wrong: %s") % error_sentence(error)
    return ""


def trouble(account: Account) -> Trouble | None:
    """Return what keeps this account from being used until a person acts; None when nothing does.

    Settings that cannot be read are no account's own trouble: every page says so by itself.
    """
    if wrong_settings():
        return None
    if environment.is_copy(account):
        return _copy()
    if _waits_for_move(account):
        return _elsewhere()
    if not consents(account.alias):
        return None
    if tokens.unreadable(account):
        return _unreadable()
    if not account.tokens:
        return _never()
    return _ended(account) if account.auth_state == AuthState.RECONNECT else None


def standstill(account: Account) -> Trouble | None:
    """Return why nothing is sent although the account is connected: refused credentials, or a pause; else None."""
    if wrong_settings():
        return None
    if account.auth_failed_at is not None:
        return _refused(account)
    if account.paused_until is not None and account.paused_until > timezone.now():
        return _paused(account)
    return None


def consents(alias: str) -> bool:
    """Say whether an account is connected by consent, as far as the settings can be read."""
    try:
        return tokens.uses_consent(conf.account(alias))
    except ConfigurationError:
        return False


def _waits_for_move(account: Account) -> bool:
    try:
        return services.waits_for_move(account, tokens.wire(conf.account(account.alias)))
    except ConfigurationError:
        return False


def idle_days(account: Account) -> int | None:
    """Return for how many days a connection was not used, where that begins to matter; else None."""
    if not account.tokens or account.refreshed_at is None:
        return None
    idle: timedelta = timezone.now() - account.refreshed_at
    return idle.days if idle > tokens.IDLE_WARNING else None


def _copy() -> Trouble:
    return Trouble(
        _("Looks like a copy"),
        _(
            "This account was connected on another site: the database here looks like a copy of it, for example for "
            "trying things out. So that the copy changes nobody's subscriptions, nothing is read or sent here."
        ),
        _(
            "On a copy, leave it so. Only if the site has moved and this is the live one, confirm that on this "
            "account's page with “This is the live site now”."
        ),
        "adopt",
    )


def _elsewhere() -> Trouble:
    return Trouble(
        _("Waits for the move"),
        _(
            "The settings name another API of Constant Contact than the one that this site has spoken so far. Until "
            "lists and contacts have their new ids nothing is read or sent. Changes of members wait; nothing is lost."
        ),
        _("Ask whoever runs the site to finish the move (ctct_move)."),
    )


def _unreadable() -> Trouble:
    return Trouble(
        _("Cannot be read"),
        _(
            "The stored connection cannot be read: it was locked with a secret key that the site does not have any "
            "more. Changes of members wait; nothing is lost."
        ),
        _(
            "Press the button and sign in at Constant Contact as the account's owner or manager. Or ask whoever runs "
            "the site to put the old secret key back (CTCT['SECRET_KEYS'])."
        ),
        "connect",
    )


def _never() -> Trouble:
    return Trouble(
        _("Not connected"),
        _("This site is not connected to Constant Contact. Changes of members wait until it is; nothing is lost."),
        _("Press the button and sign in at Constant Contact as the account's owner or manager."),
        "connect",
    )


def _ended(account: Account) -> Trouble:
    text = _(
        "Constant Contact does not accept this site's connection any more (connected %(at)s). Changes of members wait "
        "until somebody connects it again; nothing is lost."
    )
    return Trouble(
        _("Connection ended"),
        text % {"at": moment(account.connected_at)},
        _("Press the button and sign in at Constant Contact as the account's owner or manager."),
        "connect",
    )


def _refused(account: Account) -> Trouble:
    text = _("Constant Contact has refused the credentials since %(at)s. Nothing is sent meanwhile; nothing is lost.")
    return Trouble(
        _("Credentials refused"),
        sentence(text % {"at": moment(account.auth_failed_at)}),
        _("Ask whoever runs the site to put the credentials right in its settings, then check the connection."),
    )


def _paused(account: Account) -> Trouble:
    text = _("Nothing is sent until %(at)s: %(why)s.")
    values = {"at": moment(account.paused_until), "why": account.pause_reason}
    return Trouble(_("Paused"), text % values, _("It then goes on by itself; nothing is lost."))
