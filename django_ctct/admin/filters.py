"""The filters of the contact list. Each narrows by a subquery, so that no contact shows twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import (
    Contact,
    ContactList,
    DatabaseNow,
    Hold,
    ListOptOut,
    Membership,
    Refusal,
    RemoteMembership,
    SyncState,
)
from ..types import ContactStatus, OptOutSource
from .departures import open_departures

__all__ = [
    "ManagedFilter",
    "PresentFilter",
    "QueueFilter",
    "ReviewFilter",
    "StateFilter",
    "StatusFilter",
    "WantedFilter",
    "WhyFilter",
]

ABSENT = "absent"


class _ContactFilter(admin.SimpleListFilter):
    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return self.narrow(queryset, value) if value else queryset


class StateFilter(_ContactFilter):
    """By what staff see: in sync, pending, failed, refused, not the site's."""

    title = _("sync state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return SyncState.choices

    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        return contacts.filter(Q(state=value))


class StatusFilter(_ContactFilter):
    """By the status at Constant Contact, or its absence."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [*((one.value, one.label) for one in ContactStatus), (ABSENT, _("Not seen there"))]

    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        return contacts.filter(status="" if value == ABSENT else value)


class WhyFilter(_ContactFilter):
    """By what stands in the way: why a contact is held, or why a wish is refused."""

    title = _("what stands in the way")
    parameter_name = "why"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        holds = [(one.value, one.label) for one in Hold if one.value]
        refusals = [(one.value, one.label) for one in Refusal if one.value]
        return [*holds, *refusals, ("staff", _("taken off by staff"))]

    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        if value == "staff":
            by_staff = ListOptOut.objects.filter(source=OptOutSource.OWNER.value)
            return contacts.filter(pk__in=by_staff.values("contact"))
        if value in Hold.values:
            return contacts.filter(hold=value)
        return contacts.filter(refusal=value)


class ReviewFilter(_ContactFilter):
    """By what staff decided about those who left a list at Constant Contact."""

    title = _("left a list over there")
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("open", _("To review")), ("respected", _("Respected")), ("put_back", _("Put back by staff"))]

    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        decided = ListOptOut.objects.filter(source=OptOutSource.REMOTE.value, reviewed_at__isnull=False)
        narrowed = {
            "open": open_departures(),
            "respected": decided.filter(put_back_why=""),
            "put_back": decided.exclude(put_back_why=""),
        }
        return contacts.filter(pk__in=narrowed[value].values("contact")) if value in narrowed else contacts.none()


class WantedFilter(_ContactFilter):
    """By a list that the site wants the contact on."""

    title = _("wanted on")
    parameter_name = "wanted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        keys = Membership.objects.order_by("key").values_list("key", flat=True).distinct()
        return [(key, key) for key in keys]

    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        return contacts.filter(pk__in=Membership.objects.filter(key=value).values("contact"))


class PresentFilter(_ContactFilter):
    """By a list that Constant Contact has the contact on, managed or not."""

    title = _("present on")
    parameter_name = "present"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        lists = ContactList.objects.order_by(F("key").asc(nulls_last=True), "name")
        return [(str(one.pk), str(one)) for one in lists]

    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        if not value.isdecimal() or len(value) > 18:
            return contacts.none()
        return contacts.filter(pk__in=RemoteMembership.objects.filter(list=int(value)).values("contact"))


class ManagedFilter(admin.SimpleListFilter):
    """Lists by whether they are managed, and whether they are still there."""

    title = _("managed")
    parameter_name = "managed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("yes", _("Managed")), ("no", _("Not managed")), ("missing", _("Missing at Constant Contact"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "missing":
            return queryset.filter(missing_since__isnull=False)
        return queryset.filter(key__isnull=self.value() == "no") if self.value() else queryset


class QueueFilter(_ContactFilter):
    """By what the queue holds for a contact."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [
            ("due", _("Due now")),
            ("waiting", _("Waiting for the next try")),
            ("leased", _("Under way")),
            ("verify", _("To be verified")),
            ("opt_out", _("Opt-out under way")),
        ]

    def narrow(self, contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
        now = DatabaseNow()
        narrowed = {
            "due": Q(hold="", due_at__lte=now),
            "waiting": Q(hold="", due_at__gt=now),
            "leased": Q(lease_until__gt=now),
            "verify": Q(verify_at__isnull=False),
            "opt_out": Q(opt_out_wanted=True),
        }
        return contacts.filter(narrowed[value]) if value in narrowed else contacts.none()
