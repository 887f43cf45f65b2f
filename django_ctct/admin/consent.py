"""Connect, disconnect, and *This is the live site now*: what a person decides about the way to an account.

Connecting is OAuth 2's authorization code with PKCE. The browser leaves with a ``state`` that only this session
and this user know, and what it brings back is good once and for ten minutes. Nothing that comes with it in the
address is shown, logged or followed: where to go afterwards is decided here. It is taken out of the request before
anything can fail, and no variable in here stands in an error report.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import conf, environment, outbox, tokens, vault
from ..backends.oauth2 import Grant, GrantRefused
from ..exceptions import AuthenticationFailed, ConfigurationError, CopyDetected, RemoteError
from ..models import Account
from ..verdict.words import error_sentence
from .base import CtctAdmin, log
from .connection import known_aliases
from .contact_acts import Confirmation
from .trouble import wrong_settings

__all__ = [
    "LIFETIME",
    "Brought",
    "Pending",
    "Refused",
    "adopt",
    "ask",
    "disconnect",
    "finish",
    "refused_page",
    "start",
    "take_out",
]

#: How long a person has to consent (seconds).
LIFETIME = 600
_KEY = "django_ctct_connect"


@dataclass(frozen=True, slots=True)
class Pending:
    """A consent under way. The session keeps it sealed: with signed cookies the browser holds the session."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    alias: str
    redirect_uri: str
    user: str
    at: float

    def sealed(self) -> str:
        return vault.seal(json.dumps(asdict(self)))

    @classmethod
    def unsealed(cls, sealed: str) -> Pending:
        return cls(**json.loads(vault.unseal(sealed)))


@dataclass(frozen=True, slots=True)
class Brought:
    """What the browser brought back in the address. ``declined``: it says that nobody agreed."""

    state: str = field(repr=False)
    code: str = field(repr=False)
    declined: bool


class Refused(Exception):
    """A callback that is not to be believed, or that brought no consent. The text is for the person at the browser."""

    def __init__(self, text: str, status: int = 400) -> None:
        self.text, self.status = text, status
        super().__init__(text)


# There: to Constant Contact


@sensitive_variables()
def start(page: CtctAdmin[Any], request: HttpRequest, alias: str) -> HttpResponse:
    """Send the browser to Constant Contact, or back with a sentence when the settings do not allow it."""
    try:
        client = tokens.oauth_client(conf.account(alias))
        account = Account.objects.for_alias(alias)
        environment.check(account)
    except (ConfigurationError, CopyDetected) as error:
        page.message_user(request, error_sentence(error), messages.ERROR)
        return HttpResponseRedirect(page.link("changelist"))
    redirect_uri = client.redirect_uri or request.build_absolute_uri(page.link("callback"))
    pending = Pending(
        state=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(64),
        alias=alias,
        redirect_uri=redirect_uri,
        user=str(request.user.pk),
        at=time.time(),
    )
    _put_down(request, account, pending)
    goal = client.authorize_uri(redirect_uri=redirect_uri, state=pending.state, verifier=pending.verifier)
    client.close()
    return HttpResponseRedirect(goal)


def _put_down(request: HttpRequest, account: Account, pending: Pending) -> None:
    """Keep a consent under way: sealed in the session, and its state's digest in the row, which can be spent once."""
    request.session[_KEY] = pending.sealed()
    Account.objects.filter(pk=account.pk).update(consent_state=_digest(pending.state))


def _digest(state: str) -> str:
    return sha256(state.encode()).hexdigest()


# And back


@sensitive_variables()
def take_out(request: HttpRequest) -> Brought:
    """Take what the browser brought out of the request, so that whoever reports an error does not see it there."""
    brought = Brought(_only(request, "state"), _only(request, "code"), "error" in request.GET)
    query = request.META.get("QUERY_STRING", "")
    for name, value in list(request.META.items()):
        if query and isinstance(value, str) and query in value:  # some servers say the whole address as well
            request.META[name] = value.replace(query, "")
    request.GET = QueryDict()
    return brought


@sensitive_variables()
def finish(request: HttpRequest, brought: Brought) -> tuple[Account, Grant]:
    """Turn what the browser brought back into a connection. Raise ``Refused`` for whatever is not as it must be.

    Ask only on behalf of one who may connect: what was put down for this session is spent, whatever comes of it.
    """
    if wrong := wrong_settings():
        raise Refused(wrong)
    consent = _checked(request, brought, _picked_up(request))
    if not brought.code or brought.declined:
        raise Refused(_("Nobody agreed at Constant Contact, so nothing was connected."))
    account = Account.objects.for_alias(consent.alias)
    if environment.is_copy(account):
        raise Refused(str(CopyDetected(account.alias)))
    grant = _exchange(consent, brought.code)
    tokens.keep(account, grant, by=request.user.get_username())
    return account, grant


def _picked_up(request: HttpRequest) -> Pending | None:
    """Spend what was put down for this session. None: there is nothing, or it was spent before.

    A session cannot say that: an old cookie brings it back, and two requests at once read the same row. So one
    statement does, of which one alone can find the state still there.
    """
    found = request.session.pop(_KEY, None)
    try:
        pending = Pending.unsealed(found) if isinstance(found, str) else None
    except ConfigurationError:  # sealed with a key that the site does not have any more
        return None
    if pending is None:
        return None
    still_there = Account.objects.filter(alias=pending.alias, consent_state=_digest(pending.state))
    return pending if still_there.update(consent_state="") else None


def _checked(request: HttpRequest, brought: Brought, pending: Pending | None) -> Pending:
    """Return the consent that this is the answer to."""
    stale = _(
        "This answer does not belong to a connection that you have just begun here, or it came too late (after more "
        "than ten minutes) or twice."
    )
    if pending is None or not 0 <= time.time() - pending.at <= LIFETIME:
        raise Refused(stale)
    if pending.user != str(request.user.pk):
        raise Refused(stale, 403)
    if not constant_time_compare(brought.state, pending.state):
        raise Refused(stale, 403)
    if pending.alias not in known_aliases():
        raise Refused(_("This account is not in the settings (any more)."))
    return pending


def _only(request: HttpRequest, name: str) -> str:
    """Return a parameter that comes exactly once; anything else is as good as none."""
    found = request.GET.getlist(name)
    return found[0] if len(found) == 1 else ""


def _exchange(consent: Pending, code: str) -> Grant:
    try:
        client = tokens.oauth_client(conf.account(consent.alias))
        try:
            return client.exchange(code, redirect_uri=consent.redirect_uri, verifier=consent.verifier)
        finally:
            client.close()
    except GrantRefused:
        raise Refused(_("Constant Contact does not accept this answer: it is too old, or was used already.")) from None
    except AuthenticationFailed:
        text = _(
            "Constant Contact does not accept the site itself. Ask whoever runs it to check client_id and "
            "client_secret in the settings, and the redirect address at Constant Contact."
        )
        raise Refused(text) from None
    except RemoteError:
        raise Refused(_("Constant Contact could not be reached, or did not answer as it should."), 502) from None
    except ConfigurationError as error:
        raise Refused(error_sentence(error)) from None


def refused_page(page: CtctAdmin[Any], request: HttpRequest, refused: Refused) -> HttpResponse:
    """Render a refusal that repeats nothing of what came with the request."""
    told = {"text": refused.text, "may_return": page.has_view_permission(request), "back": page.link("changelist")}
    answer = page.page(request, "account/refused.html", _("Nothing was connected"), told)
    answer.status_code = refused.status
    return answer


# Decisions that are asked for twice


def ask(
    page: CtctAdmin[Any],
    request: HttpRequest,
    act: str,
    account: Account,
    more: Callable[[], dict[str, Any]] = dict,
) -> HttpResponse | None:
    """Ask for a tick on a page of its own, which shows what ``more`` gives. Return None when it is there."""
    sent = request.POST.get("confirm") == "1"
    form = Confirmation(act, request.POST if sent else None)
    if sent and form.is_valid():
        return None
    told = {
        **more(),
        "account": account,
        "copied": environment.is_copy(account),
        "form": form,
        "action_url": page.link(act),
        "back": page.link("change", account.pk),
    }
    titles = {
        "disconnect": _("Disconnect from Constant Contact?"),
        "adopt": _("Is this the live site now?"),
        "approve": _("Send changes from now on?"),
    }
    return page.page(request, f"account/{act}.html", titles[act], told)


def disconnect(page: CtctAdmin[Any], request: HttpRequest, account: Account) -> None:
    """Forget the tokens."""
    with transaction.atomic():
        tokens.forget(account)
        log(request, [account], _("Disconnected from Constant Contact."))
    page.message_user(
        request, _("The account %s is disconnected. Changes of members wait.") % account.alias, messages.SUCCESS
    )


def adopt(page: CtctAdmin[Any], request: HttpRequest, account: Account) -> None:
    """Make this place the account's own."""
    with transaction.atomic():
        environment.adopt(account)
        outbox.wake(account.alias)
        log(request, [account], _("Confirmed that this is the live site."))
    page.message_user(request, _("This is the live site for %s from now on.") % account.alias, messages.SUCCESS)
