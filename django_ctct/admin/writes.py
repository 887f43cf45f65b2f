"""The journal of all writes, newest first: what was permitted and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from ..models import WriteAttempt
from .base import ReadOnlyAdmin
from .chips import badge
from .history import OUTCOME_TONES, OUTCOMES, VERBS, changes, outcome_words, verb_words

__all__ = ["WriteAttemptAdmin"]

SHOWN = (
    "at",
    "whom",
    "what",
    "change",
    "ended",
    "ended_at",
    "error_code",
    "observed_status",
    "observed_opted_out_at",
    "observed_updated_at",
    "source",
    "consent",
    "consent_at",
    "gen",
)


class OutcomeFilter(admin.SimpleListFilter):
    """By how it ended."""

    title = gettext_lazy("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(outcome.value, words) for outcome, words in OUTCOMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class VerbFilter(admin.SimpleListFilter):
    """By the kind of write."""

    title = gettext_lazy("write")
    parameter_name = "verb"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(verb.value, words) for verb, words in VERBS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(verb=self.value()) if self.value() else queryset


class WriteAttemptAdmin(ReadOnlyAdmin[WriteAttempt]):
    """Look at writes."""

    list_display = ["at", "whom", "what", "change", "ended", "error_code"]
    list_filter = [OutcomeFilter, VerbFilter, "contact__account"]
    search_fields = ["contact__email"]
    search_help_text = gettext_lazy("Search by address")
    ordering = ["-at"]
    sortable_by = ["at"]
    show_full_result_count = False
    actions = None
    fields = SHOWN
    readonly_fields = SHOWN

    def get_queryset(self, request: HttpRequest) -> QuerySet[WriteAttempt]:
        writes = super().get_queryset(request).select_related("contact__account", "consent")
        return writes.prefetch_related("contact__account__lists")

    @admin.display(description=gettext_lazy("contact"))
    def whom(self, one: WriteAttempt) -> SafeString:
        url = reverse("admin:django_ctct_contact_change", args=[one.contact_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', url, one.contact.email)

    @admin.display(description=gettext_lazy("write"))
    def what(self, one: WriteAttempt) -> str:
        return verb_words(one)

    @admin.display(description=gettext_lazy("change"))
    def change(self, one: WriteAttempt) -> str:
        return changes(one, {each.remote_id: str(each) for each in one.contact.account.lists.all()})

    @admin.display(description=gettext_lazy("outcome"), ordering="outcome")
    def ended(self, one: WriteAttempt) -> SafeString:
        return badge(OUTCOME_TONES.get(one.outcome, "quiet"), "●", outcome_words(one))
