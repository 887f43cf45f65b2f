"""The journal of all writes, newest first: what was permitted and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import ABSENT, WriteAttempt
from ..types import ContactStatus
from ..verdict.journal import OUTCOME_TONES, OUTCOMES, VERBS, changes, outcome_words, verb_words, whose_words
from ..verdict.words import joined
from .base import ReadOnlyAdmin
from .chips import badge

__all__ = ["WriteAttemptAdmin"]


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

    list_display = ["at", "whom", "what", "change", "ended", "error"]
    list_filter = [OutcomeFilter, VerbFilter, "contact__account"]
    search_fields = ["contact__email"]
    search_help_text = gettext_lazy("Search by address")
    ordering = ["-at"]
    sortable_by = ["at"]
    show_full_result_count = False
    actions = None
    change_list_template = "admin/django_ctct/writeattempt/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WriteAttempt]:
        writes = super().get_queryset(request).select_related("contact__account", "consent")
        return writes.prefetch_related("contact__account__lists")

    # The list

    @admin.display(description=gettext_lazy("contact"))
    def whom(self, one: WriteAttempt) -> SafeString:
        url = reverse("admin:django_ctct_contact_change", args=[one.contact_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', url, one.contact.email)

    @admin.display(description=gettext_lazy("write"))
    def what(self, one: WriteAttempt) -> str:
        return verb_words(one)

    @admin.display(description=gettext_lazy("change"))
    def change(self, one: WriteAttempt) -> str:
        return changes(one, _names(one))

    @admin.display(description=gettext_lazy("outcome"), ordering="outcome")
    def ended(self, one: WriteAttempt) -> SafeString:
        return badge(OUTCOME_TONES.get(one.outcome, "quiet"), "●", outcome_words(one))

    @admin.display(description=gettext_lazy("error"), empty_value="")
    def error(self, one: WriteAttempt) -> str:
        return one.error_code.replace("_", " ")

    # The page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        one = self.get_object(request, unquote(object_id))
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request, one):
            raise PermissionDenied
        if one is None:
            raise Http404
        title = _("Write of %s") % date_format(localtime(one.at), "DATETIME_FORMAT")
        return self.page(request, "writeattempt/page.html", title, self._context(one))

    def _context(self, one: WriteAttempt) -> dict[str, Any]:
        names = _names(one)
        return {
            "write": one,
            "whom": self.whom(one),
            "tone": OUTCOME_TONES.get(one.outcome, "quiet"),
            "badge": self.ended(one),
            "what": self.what(one),
            "change": self.change(one),
            "whose": whose_words(one),
            "error": self.error(one),
            "status": _status(one),
            "before": joined(sorted(names.get(each, each) for each in one.lists_before)),
            "after": joined(sorted(names.get(each, each) for each in one.lists_after)),
        }


def _names(one: WriteAttempt) -> Mapping[str, str]:
    return {each.remote_id: str(each) for each in one.contact.account.lists.all()}


def _status(one: WriteAttempt) -> str:
    return _("not there") if one.observed_status == ABSENT else ContactStatus(one.observed_status).label
