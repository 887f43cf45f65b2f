"""The contacts: the list with its filters, and the page of one contact with wish, observation and difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import conf, vault
from ..models import Account, Consent, Contact, Suppression
from ..types import OptOutSource
from ..verdict.difference import left_words
from ..verdict.journal import writes
from ..verdict.words import BADGES, STATUS_TONES, ago, state_of, why
from .banners import banners, connection_banners
from .base import ReadOnlyAdmin
from .chips import badge, list_chips, render_chips
from .contact_acts import ContactActs
from .departures import departures, is_open
from .filters import PresentFilter, QueueFilter, ReviewFilter, StateFilter, StatusFilter, WantedFilter, WhyFilter
from .history import staff_acts
from .sides import sides_of
from .trouble import wrong_settings

__all__ = ["ContactAdmin"]


@dataclass(frozen=True, slots=True)
class ProfileField:
    """One field of the wish, with what is wrong with its value."""

    name: str
    value: str
    problem: str


@dataclass(frozen=True, slots=True)
class Wisher:
    """A member who puts the address on lists; ``url`` leads to her page where the reader may see it."""

    name: str
    keys: tuple[str, ...]
    url: str


class ContactAdmin(ContactActs, ReadOnlyAdmin[Contact]):
    """Look at contacts, and ask for acts."""

    list_display = ["who", "status_badge", "state_badge", "lists", "confirmed"]
    list_display_links = ["who"]
    list_filter = [
        StateFilter,
        ReviewFilter,
        StatusFilter,
        WhyFilter,
        WantedFilter,
        PresentFilter,
        QueueFilter,
        "account",
    ]
    list_select_related = ["account"]
    list_per_page = 50
    search_fields = ["email", "first_name", "last_name"]
    search_help_text = gettext_lazy("Search by address or name")
    ordering = ["email"]
    sortable_by = ["who", "confirmed"]
    show_full_result_count = False
    change_list_template = "admin/django_ctct/contact/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        """Read all that a line or a page shows in a number of queries that does not grow with the lines."""
        contacts = Contact.objects.with_state().select_related("account")
        return contacts.prefetch_related(
            "account__lists", "memberships", "remote_memberships__list", "list_opt_outs__list"
        )

    def get_urls(self) -> list[Any]:
        return [*self.act_urls(), *super().get_urls()]

    # The list

    @transaction.non_atomic_requests  # Show plan calls Constant Contact, and no transaction spans a call
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        warnings = banners(Account.objects.all()) if request.method == "GET" else []
        return super().changelist_view(request, {"banners": warnings, **(extra_context or {})})

    @admin.display(description=gettext_lazy("address and name"), ordering="email")
    def who(self, contact: Contact) -> SafeString:
        return format_html('{}<span class="ctct-why">{}</span>', contact.email, _full_name(contact))

    @admin.display(description=gettext_lazy("status"))
    def status_badge(self, contact: Contact) -> SafeString | str:
        if not contact.status:
            return format_html('<span class="ctct-none">{}</span>', _("not seen there"))
        return badge(STATUS_TONES[contact.status], "●", contact.get_status_display())

    @admin.display(description=gettext_lazy("sync state"))
    def state_badge(self, contact: Contact) -> SafeString:
        state = state_of(contact)
        tone, sign = BADGES[state]
        words = [why(contact)]
        if any(is_open(one, contact) for one in contact.list_opt_outs.all()):
            words.append(_("to review"))
        text = "; ".join(word for word in words if word)
        return format_html('{}<span class="ctct-why">{}</span>', badge(tone, sign, str(state.label)), text)

    @admin.display(description=gettext_lazy("managed lists"))
    def lists(self, contact: Contact) -> SafeString:
        return render_chips(list_chips(contact))

    @admin.display(description=gettext_lazy("last in sync"), ordering="synced_at")
    def confirmed(self, contact: Contact) -> str:
        return _("%(ago)s ago") % {"ago": ago(contact.synced_at)} if contact.synced_at else _("never")

    # The page

    @transaction.non_atomic_requests
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        contact = self.get_object(request, unquote(object_id))
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request, contact):
            raise PermissionDenied
        if contact is None:
            raise Http404
        return self.page(request, "contact/page.html", contact.email, self._context(request, contact))

    def _context(self, request: HttpRequest, contact: Contact) -> dict[str, Any]:
        sides = sides_of(contact)
        return {
            "contact": contact,
            "banners": list(connection_banners(contact.account)),
            "full_name": _full_name(contact),
            "status_badge": self.status_badge(contact),
            "verdict": sides.verdict,
            "rows": sides.rows,
            "profile": _profile(contact),
            "wishers": self._wishers(request, contact),
            "drift": [row.drift for row in sides.rows if row.drift],
            "departures": departures(contact),
            "may_review": self.has_review_permission(request),
            "opt_outs": [{"list": one.list, "words": left_words(one)} for one in contact.list_opt_outs.all()],
            "erased": _erased(contact),
            "consents": _consents(contact),
            "writes": writes(contact),
            "staff_acts": staff_acts(contact),
            "acts": self._acts(request, contact),
        }

    def _acts(self, request: HttpRequest, contact: Contact) -> list[dict[str, str]]:
        """Return the buttons that this user may press and that make sense here."""
        by_staff = any(one.source == OptOutSource.OWNER.value for one in contact.list_opt_outs.all())
        offered = [
            ("sync", _("Sync now"), "default", self.has_sync_permission(request) and contact.desired_gen > 0),
            ("plan", _("Show plan"), "", self.has_sync_permission(request)),
            ("remove", _("Remove from all managed lists…"), "", self.has_remove_permission(request)),
            ("lift", _("Let the rules count again"), "", self.has_remove_permission(request) and by_staff),
            ("opt_out", _("Opt out…"), "danger", self.has_opt_out_permission(request) and not self._opted_out(contact)),
        ]
        return [{"url": self.link(name), "label": label, "tone": tone} for name, label, tone, may in offered if may]

    def _wishers(self, request: HttpRequest, contact: Contact) -> list[Wisher]:
        keys: dict[str, list[str]] = {}
        for one in contact.memberships.all():
            keys.setdefault(one.member_key, []).append(one.key)
        return [self._wisher(request, member, tuple(sorted(wanted))) for member, wanted in sorted(keys.items())]

    def _wisher(self, request: HttpRequest, member_key: str, keys: tuple[str, ...]) -> Wisher:
        """Name a member. The key is the adapter's: usually ``app.model:pk``, and whatever it likes otherwise."""
        label, _colon, pk = member_key.partition(":")
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            return Wisher(member_key, keys, "")
        name = f"{capfirst(model._meta.verbose_name)} {pk}"
        page = self.admin_site._registry.get(model)
        if page is None or not page.has_view_or_change_permission(request):
            return Wisher(name, keys, "")
        try:
            route = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            return Wisher(name, keys, reverse(route, args=[pk], current_app=self.admin_site.name))
        except NoReverseMatch:
            return Wisher(name, keys, "")


def _consents(contact: Contact) -> QuerySet[Consent]:
    """Return her consents, those too that were given before all else about her address was erased."""
    hers = Q(contact=contact) | Q(address_hash__in=_hashes(contact))
    return Consent.objects.filter(hers, account=contact.account).order_by("-at", "-pk")


def _erased(contact: Contact) -> Suppression | None:
    hers = Suppression.objects.filter(account=contact.account, address_hash__in=_hashes(contact))
    return hers.order_by("-at").first()


def _hashes(contact: Contact) -> tuple[str, ...]:
    """Return the names under which her address is remembered; none without the keys, which are in the settings."""
    return () if wrong_settings() else vault.address_hashes(contact.email)


def _full_name(contact: Contact) -> str:
    return f"{contact.first_name} {contact.last_name}".strip()


def _profile(contact: Contact) -> list[ProfileField]:
    """Return the fields that the site owns, with what the account's wire makes of them. No call is made."""
    problems = _problems(contact)
    return [
        ProfileField(name.replace("_", " ").replace(":", " "), str(value), problems.get(name, ""))
        for name, value in sorted(contact.profile.items())
    ]


def _problems(contact: Contact) -> dict[str, str]:
    try:
        backend = import_string(conf.account(contact.account.alias).backend)
    except (ImproperlyConfigured, ImportError):
        return {}
    return dict(backend.fit(contact.profile).problems)
