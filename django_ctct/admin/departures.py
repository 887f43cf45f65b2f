"""Who left a list at Constant Contact, or was taken off there: the two look alike, so staff look at each once.

They respect it, which is what the machine does anyway, or put her back with a reason, where it was a mistake over
there. Who opted out of everything is put back by nobody but herself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import acts
from ..models import Contact, ListOptOut
from ..types import OptOutSource, RemoteRemoval
from ..verdict.words import moment, sentence
from .base import CtctAdmin, log, posted

__all__ = ["Departure", "DepartureActs", "departures", "is_open", "open_departures"]

_CHANGED = gettext_lazy("Something has happened since this page was made, so nothing was done. Look at it again.")


@dataclass(frozen=True, slots=True)
class Departure:
    """One departure as a card. ``decided`` is ``respected``, ``put_back``, or empty while nobody has looked at it.

    ``words`` says who decided and when, ``counts`` whether the list's policy keeps her off for it.
    """

    pk: int
    list: str
    at: datetime
    opted_out: bool
    decided: str
    words: str
    why: str
    counts: bool


class Reason(forms.Form):
    """Why somebody is put back: without a reason nobody is."""

    why = forms.CharField(
        label=gettext_lazy("Why is she put back?"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=gettext_lazy(
            "For example: “Taken off by mistake when the list was cleaned on Monday; she asked for it by phone.” "
            "It is kept with your name."
        ),
        error_messages={"required": gettext_lazy("Say why. Without a reason nobody is put back.")},
    )


def open_departures() -> QuerySet[ListOptOut]:
    """Return the departures that somebody should look at: where there is something to decide."""
    return ListOptOut.objects.filter(
        source=OptOutSource.REMOTE.value,
        reviewed_at=None,
        list__on_remote_removal=RemoteRemoval.RESPECT.value,
        contact__opted_out_at=None,
    )


def is_open(left: ListOptOut, contact: Contact) -> bool:
    """Say the same of one row that was read with its list."""
    counts = left.list.on_remote_removal == RemoteRemoval.RESPECT.value and contact.opted_out_at is None
    return counts and left.source == OptOutSource.REMOTE.value and left.reviewed_at is None


def departures(contact: Contact) -> list[Departure]:
    """Return a contact's departures, the latest first."""
    rows = [one for one in contact.list_opt_outs.all() if one.source == OptOutSource.REMOTE.value]
    return [_departure(one, contact) for one in sorted(rows, key=lambda one: one.at, reverse=True)]


def _departure(one: ListOptOut, contact: Contact) -> Departure:
    seen = "respected" if one.reviewed_at is not None else ""
    return Departure(
        pk=one.pk,
        list=str(one.list),
        at=one.at,
        opted_out=contact.opted_out_at is not None,
        decided="put_back" if one.put_back_why else seen,
        words=_decision(one),
        why=one.put_back_why,
        counts=one.list.on_remote_removal == RemoteRemoval.RESPECT.value,
    )


def _decision(one: ListOptOut) -> str:
    if one.reviewed_at is None:
        return ""
    told = {"who": one.reviewed_by or _("somebody"), "at": moment(one.reviewed_at)}
    return sentence(_("Decided by %(who)s, %(at)s.") % told)


class DepartureActs(CtctAdmin[Contact]):
    """The two decisions, each a POST with the permission to review."""

    def departure_urls(self) -> list[Any]:
        return [
            self.act_path("respect/", self.respect_view, "respect"),
            self.act_path("put-back/", self.put_back_view, "put_back"),
        ]

    def has_review_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "review_contact")

    @posted("review_contact")
    def respect_view(self, request: HttpRequest) -> HttpResponse:
        """Note that somebody has looked at it, and leave it at that."""
        left = self._left(request)
        if not _is_meant(request, left):
            self.message_user(request, _CHANGED, messages.WARNING)
        elif left.reviewed_at is not None or not self.respect(request, [left]):
            self.message_user(request, _("Somebody has decided about it already: see below."), messages.WARNING)
        else:
            self.message_user(request, _("Respected: she stays off “%s”.") % left.list, messages.SUCCESS)
        return HttpResponseRedirect(self.link("change", left.contact_id))

    def respect(self, request: HttpRequest, rows: list[ListOptOut]) -> int:
        """Record the decision for each row, with a line in the log of its contact. Return how many still stood so."""
        done = 0
        with transaction.atomic():
            for left in rows:
                try:
                    acts.respect(left, by=request.user.get_username())
                except acts.Outdated:
                    continue
                log(request, [left.contact], _("Respected that she left “%s”.") % left.list)
                done += 1
        return done

    def respect_all(self, request: HttpRequest, contacts: QuerySet[Contact]) -> None:
        """Respect all open departures of the selected contacts."""
        rows = list(open_departures().filter(contact__in=contacts).select_related("contact", "list"))
        done = self.respect(request, rows)
        text = ngettext("%(n)s departure is respected.", "%(n)s departures are respected.", done)
        self.message_user(request, text % {"n": done}, messages.SUCCESS if done else messages.WARNING)

    @posted("review_contact")
    def put_back_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the reason on a page of its own, and put her back once it is given."""
        left = self._left(request)
        if problem := _problem(request, left):
            self.message_user(request, problem, messages.ERROR)
            return HttpResponseRedirect(self.link("change", left.contact_id))
        form = Reason(request.POST if "confirm" in request.POST else None, label_suffix="")
        if not form.is_bound or not form.is_valid():
            return self._ask_why(request, left, form)
        if self._put_back(request, left, form.cleaned_data["why"]):
            self.message_user(request, _("The site's rule counts again for “%s”.") % left.list, messages.SUCCESS)
        else:
            self.message_user(request, _CHANGED, messages.ERROR)
        return HttpResponseRedirect(self.link("change", left.contact_id))

    def _put_back(self, request: HttpRequest, left: ListOptOut, why: str) -> bool:
        """Put her back, with a line in the log. Return False where she was faster."""
        try:
            with transaction.atomic():
                acts.put_back(left, by=request.user.get_username(), why=why)
                log(request, [left.contact], _("Put back on “%s”: the site's rule counts again.") % left.list)
        except acts.Outdated:
            return False
        return True

    def _ask_why(self, request: HttpRequest, left: ListOptOut, form: Reason) -> HttpResponse:
        told = {
            "left": left,
            "contact": left.contact,
            "form": form,
            "action_url": self.link("put_back"),
            "back": self.link("change", left.contact_id),
        }
        return self.page(request, "contact/put_back.html", _("Put back on “%s”?") % left.list, told)

    def _left(self, request: HttpRequest) -> ListOptOut:
        """Return the departure that was asked about, fresh from the database."""
        number = request.POST.get("left", "")
        rows = ListOptOut.objects.select_related("contact__account", "list")
        known = number.isdecimal() and len(number) <= 18
        return get_object_or_404(rows, pk=int(number) if known else 0, contact__in=self.get_queryset(request))


def _is_meant(request: HttpRequest, left: ListOptOut) -> bool:
    """Say whether the page that was sent told of this departure: one row is of all that she leaves a list."""
    try:
        told = parse_datetime(request.POST.get("at", ""))
    except ValueError:
        return False
    return left.source == OptOutSource.REMOTE.value and told == left.at


def _problem(request: HttpRequest, left: ListOptOut) -> str:
    if left.contact.opted_out_at is not None:
        return _("She has opted out of everything: only she herself can undo that.")
    if not _is_meant(request, left):
        return str(_CHANGED)
    if left.put_back_why:
        return _("She has been put back on this list already: see below.")
    return ""
