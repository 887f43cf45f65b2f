"""The accounts: the state of each connection, how much is under way, and how long the oldest has waited.

Credentials live in the settings, tokens are sealed in the row, and neither is ever shown, not even in part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, F, Min
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from .. import conf, environment, quota
from ..exceptions import ConfigurationError
from ..models import Account, Contact, Quota, SyncState
from ..verdict.words import BADGES, ago, moment, sentence
from . import consent
from .approval import NAMED, approve, plan_context
from .banners import banners
from .base import ReadOnlyAdmin, log, posted
from .chips import badge
from .connection import check, known_aliases
from .departures import open_departures
from .news import news
from .trouble import consents, standstill, trouble, wrong_settings

__all__ = ["AccountAdmin", "Calls", "Connection", "connection"]


@dataclass(frozen=True, slots=True)
class Connection:
    """The state of a connection in words."""

    tone: str
    sign: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of an API key today (UTC)."""

    used: int
    most: int


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many contacts are in one state, and where to see them."""

    tone: str
    sign: str
    label: str
    count: int
    url: str


def connection(account: Account) -> Connection:
    """Say how it stands with the way to one account. It reads the row and the settings, and calls nobody."""
    if wrong_settings():
        text = _(
            "While the settings are wrong, nothing can be read or sent. What is shown here is what was last known."
        )
        return Connection("bad", "!", _("Settings wrong"), text)
    if account.alias not in known_aliases():
        text = _("This account is not in the settings (any more). What is shown here is what was last known.")
        return Connection("quiet", "–", _("Not in the settings"), text)
    if found := trouble(account):
        tone = "stop" if found.act == "adopt" else "bad" if account.tokens else "wait"
        return Connection(tone, "!", found.label, sentence(found.text))
    if found := standstill(account):
        tone, sign = ("bad", "!") if account.auth_failed_at is not None else ("wait", "…")
        return Connection(tone, sign, found.label, found.text)
    if account.reached_at is None and account.tokens:
        text = _(
            "Constant Contact has given its permission %(ago)s ago. Press “Check the connection” to read the lists."
        )
        return Connection("good", "✓", _("Connected"), text % {"ago": ago(account.connected_at)})
    if account.reached_at is None:
        return Connection("quiet", "–", _("Not tried yet"), _("Nobody has called Constant Contact yet."))
    text = _("Constant Contact last answered %(ago)s ago (%(at)s).")
    values = {"ago": ago(account.reached_at), "at": moment(account.reached_at)}
    return Connection("good", "✓", _("Connected"), text % values)


def calls_today(account: Account) -> Calls | None:
    """Return how many calls the account's key has used today; None where the settings do not know it."""
    try:
        settings = conf.account(account.alias)
    except ConfigurationError:
        return None
    row = Quota.objects.filter(key_hash=quota.key_hash(settings)).first()
    today = timezone.now().astimezone(UTC).date()
    return Calls(row.used if row and row.day == today else 0, settings.calls_per_day)


class AccountAdmin(ReadOnlyAdmin[Account]):
    """Look at the connections and check them."""

    list_display = ["alias", "connection_badge", "lists_read_at"]
    change_list_template = "admin/django_ctct/account/change_list.html"
    actions = None
    ordering = ["alias"]

    def get_urls(self) -> list[Any]:
        acts = [
            self.act_path("check/", self.check_view, "check"),
            self.act_path("connect/", self.connect_view, "connect"),
            self.act_path("disconnect/", self.disconnect_view, "disconnect"),
            self.act_path("adopt/", self.adopt_view, "adopt"),
            self.act_path("approve/", self.approve_view, "approve"),
            self.act_path("<int:account_id>/plan/", self.plan_view, "plan"),
        ]
        # Not by admin_view: its way to the login page would carry the code along in the address.
        name = f"{self.opts.app_label}_{self.opts.model_name}_callback"
        return [*acts, path("callback/", self.callback_view, name=name), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        rows = list(Account.objects.all())
        unseen = sorted(set(known_aliases()) - {one.alias for one in rows})
        ours = {
            "banners": banners(rows),
            "unseen": unseen,
            "connectable": [alias for alias in unseen if consents(alias)],
            "may_connect": self.may(request, "connect_account"),
            "may_check": self.may(request, "check_account"),
            "check_url": self.link("check"),
            "connect_url": self.link("connect"),
        }
        return super().changelist_view(request, {**ours, **(extra_context or {})})

    @admin.display(description=gettext_lazy("connection"))
    def connection_badge(self, account: Account) -> SafeString:
        state = connection(account)
        shown = badge(state.tone, state.sign, state.label)
        return format_html('{}<span class="ctct-why">{}</span>', shown, state.text)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        account = self.get_object(request, unquote(object_id))
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request, account):
            raise PermissionDenied
        if account is None:
            raise Http404
        return self.page(request, "account/page.html", _("Account %s") % account.alias, self._context(request, account))

    def _context(self, request: HttpRequest, account: Account) -> dict[str, Any]:
        known = account.alias in known_aliases()
        found = trouble(account) or standstill(account) if known else None
        return {
            "account": account,
            "banners": [one for one in banners([account]) if not found or one.text != sentence(found.text)],
            "advice": found.advice if found else "",
            "act": found.act if found else "",
            **self._acts(request, account, known),
            "connection": connection(account),
            "news": news(account),
            "plan_url": self.link("plan", account.pk) if known else "",
            "to_review": open_departures().filter(contact__account=account).values("contact").distinct().count(),
            "paused": account.paused_until is not None and account.paused_until > timezone.now(),
            "calls": calls_today(account),
            "counts": _counts(account),
            "oldest": _oldest(account),
            "lists": account.lists.count(),
            "managed": account.lists.filter(key__isnull=False).count(),
        }

    def _acts(self, request: HttpRequest, account: Account, known: bool) -> dict[str, Any]:
        """Say which buttons there are for this user, and what a connection by consent rests on."""
        may_connect, by_consent = self.may(request, "connect_account"), known and consents(account.alias)
        copy = known and environment.is_copy(account)
        told: dict[str, Any] = {
            "check_url": self.link("check") if known and not copy and self.may(request, "check_account") else "",
            "connect_url": self.link("connect") if may_connect and by_consent and not copy else "",
            "disconnect_url": self.link("disconnect") if may_connect and by_consent and account.tokens else "",
            "adopt_url": self.link("adopt") if may_connect and copy else "",
        }
        if by_consent:
            told["redirect_uri"] = self._redirect_uri(request, account) if may_connect else ""
        return told

    def _redirect_uri(self, request: HttpRequest, account: Account) -> str:
        told = conf.account(account.alias).options.get("redirect_uri")
        return str(told) if told else request.build_absolute_uri(self.link("callback"))

    @posted("check_account")
    def check_view(self, request: HttpRequest) -> HttpResponse:
        """Read the lists, which shows whether the credentials and the network are right."""
        alias = request.POST.get("alias", "")
        check(self, request, alias)
        row = Account.objects.filter(alias=alias).first()
        return HttpResponseRedirect(self.link("change", row.pk) if row else self.link("changelist"))

    @posted("connect_account")
    def connect_view(self, request: HttpRequest) -> HttpResponse:
        """Send the browser to Constant Contact, where a person consents."""
        return consent.start(self, request, request.POST.get("alias", ""))

    @method_decorator(never_cache)
    @method_decorator(transaction.non_atomic_requests)
    def callback_view(self, request: HttpRequest) -> HttpResponse:
        """Take back what the browser brings from Constant Contact. Its address holds a code: nobody may hear of it."""
        brought = consent.take_out(request)
        try:
            answer = self._called_back(request, brought)
        except consent.Refused as refused:
            answer = consent.refused_page(self, request, refused)
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    def _called_back(self, request: HttpRequest, brought: consent.Brought) -> HttpResponse:
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if not self.admin_site.has_permission(request) or not self.may(request, "connect_account"):
            raise consent.Refused(_("Sign in to the admin as somebody who may connect accounts, and begin anew."), 403)
        account, grant = consent.finish(request, brought)
        with transaction.atomic():
            log(request, [account], _("Connected to Constant Contact."))
        self.message_user(
            request, _("The account %s is connected to Constant Contact.") % account.alias, messages.SUCCESS
        )
        if not grant.refresh:
            text = _("Constant Contact gave no lasting consent: add offline_access to the scope, and connect again.")
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.link("change", account.pk))

    @posted("connect_account")
    def disconnect_view(self, request: HttpRequest) -> HttpResponse:
        """Forget the tokens, once that is confirmed. What has none keeps its mark: this is no way around the guard."""
        if not wrong_settings() and not consents(request.POST.get("alias", "")):
            raise Http404
        return self._decided(request, "disconnect", consent.disconnect)

    @posted("connect_account")
    def adopt_view(self, request: HttpRequest) -> HttpResponse:
        """Make this the live site, once that is confirmed."""
        return self._decided(request, "adopt", consent.adopt)

    @posted("approve_account")
    def approve_view(self, request: HttpRequest) -> HttpResponse:
        """Let changes be sent, once that is confirmed on a page that sums the plan up."""
        account = get_object_or_404(Account, alias=request.POST.get("alias", ""))
        if account.approved_at is not None:
            self.message_user(request, _("The plan was approved already: changes are sent."), messages.WARNING)
            return HttpResponseRedirect(self.link("plan", account.pk))
        return self._decided(request, "approve", approve, lambda: plan_context(account, named=0))

    def plan_view(self, request: HttpRequest, account_id: int) -> HttpResponse:
        """Show what would be done for everybody, by what was last told. It calls nobody and changes nothing."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        account = get_object_or_404(Account, pk=account_id)
        may_see_people = request.user.has_perm("django_ctct.view_contact")
        told = {
            **plan_context(account, named=NAMED if may_see_people else 0),
            "approve_url": self.link("approve") if self.may(request, "approve_account") else "",
            "back": self.link("change", account.pk),
        }
        return self.page(request, "account/plan.html", _("The plan for %s") % account.alias, told)

    def _decided(
        self,
        request: HttpRequest,
        act: str,
        carry_out: Callable[..., None],
        more: Callable[[], dict[str, Any]] = dict,
    ) -> HttpResponse:
        account = get_object_or_404(Account, alias=request.POST.get("alias", ""))
        if wrong := wrong_settings():
            self.message_user(request, _("Nothing was done. %s") % wrong, messages.ERROR)
            return HttpResponseRedirect(self.link("change", account.pk))
        if asked := consent.ask(self, request, act, account, more):
            return asked
        carry_out(self, request, account)
        return HttpResponseRedirect(self.link("change", account.pk))


def _counts(account: Account) -> list[StateCount]:
    found = Contact.objects.with_state().filter(account=account).order_by()
    numbers = dict(found.values_list("state").annotate(n=Count("pk")))  # type: ignore[misc]  # with_state() adds it
    rows = []
    for state in SyncState:
        query = urlencode({"state": state.value, "account__id__exact": account.pk})
        url = f"{reverse('admin:django_ctct_contact_changelist')}?{query}"
        rows.append(StateCount(*BADGES[state], str(state.label), numbers.get(state.value, 0), url))
    return rows


def _oldest(account: Account) -> Any:
    """Return since when the oldest wish waits."""
    waiting = Contact.objects.filter(account=account, desired_gen__gt=F("applied_gen"))
    return waiting.aggregate(since=Min("wished_at"))["since"]
