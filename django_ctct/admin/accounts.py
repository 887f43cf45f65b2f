"""The accounts: the state of each connection, how much is under way, and how long the oldest has waited.

Credentials live in the settings and are never shown, not even in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Min
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import conf, quota
from ..exceptions import ConfigurationError
from ..models import Account, Contact, Quota, SyncState
from .banners import banners
from .base import ReadOnlyAdmin, posted
from .chips import badge
from .connection import check, known_aliases
from .words import BADGES, ago, moment, sentence

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
    if account.alias not in known_aliases():
        text = _("This account is not in the settings (any more). What is shown here is what was last known.")
        return Connection("quiet", "–", _("Not in the settings"), text)
    if account.auth_failed_at is not None:
        text = _("Constant Contact has refused the credentials since %(at)s.")
        text = sentence(text % {"at": moment(account.auth_failed_at)})
        return Connection("bad", "!", _("Credentials refused"), text)
    if account.paused_until is not None and account.paused_until > timezone.now():
        text = _("Nothing is sent until %(at)s: %(why)s.")
        values = {"at": moment(account.paused_until), "why": account.pause_reason}
        return Connection("wait", "…", _("Paused"), text % values)
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
        return [self.act_path("check/", self.check_view, "check"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        rows = list(Account.objects.all())
        unseen = sorted(set(known_aliases()) - {one.alias for one in rows})
        ours = {
            "banners": banners(rows),
            "unseen": unseen,
            "may_check": self.may(request, "check_account"),
            "check_url": self.link("check"),
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
        return self.page(request, "account/page.html", account.alias, self._context(request, account))

    def _context(self, request: HttpRequest, account: Account) -> dict[str, Any]:
        known = account.alias in known_aliases()
        return {
            "account": account,
            "banners": banners([account]),
            "connection": connection(account),
            "paused": account.paused_until is not None and account.paused_until > timezone.now(),
            "calls": calls_today(account),
            "counts": _counts(account),
            "oldest": _oldest(account),
            "lists": account.lists.count(),
            "managed": account.lists.filter(key__isnull=False).count(),
            "check_url": self.link("check") if known and self.may(request, "check_account") else "",
        }

    @posted("check_account")
    def check_view(self, request: HttpRequest) -> HttpResponse:
        """Read the lists, which shows whether the credentials and the network are right."""
        alias = request.POST.get("alias", "")
        check(self, request, alias)
        row = Account.objects.filter(alias=alias).first()
        return HttpResponseRedirect(self.link("change", row.pk) if row else self.link("changelist"))


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
