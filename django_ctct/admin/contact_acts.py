"""What staff may do with contacts: sync now, show the plan, take off all lists, undo that, opt out for good.

Each act is a POST with a permission of its own; two of them ask first on a page that names every address. They
are offered for selected contacts in the list and for one contact on its page, by the same views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import acts
from ..models import Contact, ContactList
from ..types import ContactStatus, OptOutSource
from .base import log, posted
from .departures import DepartureActs
from .plans import MOST_PLANS, show_plans

__all__ = ["MOST_CONTACTS", "Confirmation", "ContactActs"]

#: One act takes this many contacts at most; a slip of the hand must not reach everybody.
MOST_CONTACTS = 1000

_SURE = {
    "remove": gettext_lazy("Yes, take them off all managed lists."),
    "opt_out": gettext_lazy("Yes, opt them out. I know that this is for good."),
    "disconnect": gettext_lazy("Yes, disconnect this site."),
    "adopt": gettext_lazy("Yes, this is the live site now."),
    "approve": gettext_lazy("Yes, I have read the plan. Send changes from now on."),
}


class Confirmation(forms.Form):
    """The tick without which nothing happens."""

    sure = forms.BooleanField(error_messages={"required": gettext_lazy("Tick the box to say that you mean it.")})

    def __init__(self, act: str, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        self.fields["sure"].label = _SURE[act]


class OptOutConfirmation(Confirmation):
    """The tick, and why: who asks to be let alone must not wait for a reason, so it may be left empty."""

    why = forms.CharField(
        label=gettext_lazy("Why? (optional)"),
        required=False,
        max_length=255,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        help_text=gettext_lazy(
            "For example: “She asked for it by phone on Monday.” It is kept with your name, shown on the contact's "
            "page and sent to nobody."
        ),
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The contacts of one act and where to go afterwards: ``query`` holds the filters of the list."""

    contacts: Sequence[Contact]
    from_page: bool = False
    query: str = ""

    @property
    def ids(self) -> str:
        # One field: a field for each would be more than Django takes (DATA_UPLOAD_MAX_NUMBER_FIELDS).
        return ",".join(str(one.pk) for one in self.contacts)


class ContactActs(DepartureActs):
    """The acts, as actions of the list and as views of their own."""

    actions = [
        "sync_selected",
        "plan_selected",
        "respect_selected",
        "remove_selected",
        "lift_selected",
        "opt_out_selected",
    ]

    def act_urls(self) -> list[Any]:
        return [
            *self.departure_urls(),
            self.act_path("sync/", self.sync_view, "sync"),
            self.act_path("plan/", self.plan_view, "plan"),
            self.act_path("remove/", self.remove_view, "remove"),
            self.act_path("count-again/", self.lift_view, "lift"),
            self.act_path("opt-out/", self.opt_out_view, "opt_out"),
        ]

    # Permissions, as Django's actions ask for them

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "sync_contact")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "remove_contact")

    def has_opt_out_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "opt_out_contact")

    # Actions of the list

    @admin.action(permissions=["sync"], description=gettext_lazy("Sync now"))
    def sync_selected(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        return self._selected(request, queryset, self._sync)

    @admin.action(permissions=["sync"], description=gettext_lazy("Show plan (writes nothing)"))
    def plan_selected(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        return self._selected(request, queryset, self._plan)

    @admin.action(permissions=["review"], description=gettext_lazy("Respect that they left lists at Constant Contact"))
    def respect_selected(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        return self._selected(request, queryset, self._respect)

    @admin.action(permissions=["remove"], description=gettext_lazy("Remove from all managed lists…"))
    def remove_selected(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        return self._selected(request, queryset, self._remove)

    @admin.action(permissions=["remove"], description=gettext_lazy("Let the rules count again"))
    def lift_selected(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        return self._selected(request, queryset, self._lift)

    @admin.action(permissions=["opt_out"], description=gettext_lazy("Opt out for good…"))
    def opt_out_selected(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        return self._selected(request, queryset, self._opt_out)

    # Views

    @posted("sync_contact")
    def sync_view(self, request: HttpRequest) -> HttpResponse:
        return self._posted(request, self._sync)

    @posted("sync_contact")
    def plan_view(self, request: HttpRequest) -> HttpResponse:
        return self._posted(request, self._plan)

    @posted("remove_contact")
    def remove_view(self, request: HttpRequest) -> HttpResponse:
        return self._posted(request, self._remove)

    @posted("remove_contact")
    def lift_view(self, request: HttpRequest) -> HttpResponse:
        return self._posted(request, self._lift)

    @posted("opt_out_contact")
    def opt_out_view(self, request: HttpRequest) -> HttpResponse:
        return self._posted(request, self._opt_out)

    # Choosing

    def _selected(
        self,
        request: HttpRequest,
        queryset: QuerySet[Contact],
        act: Callable[[HttpRequest, Chosen], HttpResponse],
    ) -> HttpResponse:
        contacts = list(queryset.order_by("email")[: MOST_CONTACTS + 1])
        return self._within_reason(request, Chosen(contacts, query=request.GET.urlencode()), act)

    def _posted(self, request: HttpRequest, act: Callable[[HttpRequest, Chosen], HttpResponse]) -> HttpResponse:
        words = request.POST.get("contacts", "").split(",")
        ids = [int(word) for word in words if word.isdecimal() and len(word) <= 18][: MOST_CONTACTS + 1]
        contacts = list(self.get_queryset(request).filter(pk__in=ids).order_by("email"))
        chosen = Chosen(contacts, "from_page" in request.POST, request.POST.get("query", ""))
        return self._within_reason(request, chosen, act)

    def _within_reason(
        self, request: HttpRequest, chosen: Chosen, act: Callable[[HttpRequest, Chosen], HttpResponse]
    ) -> HttpResponse:
        if len(chosen.contacts) > MOST_CONTACTS:
            text = _("More than %(most)s contacts are selected. Nothing was done: narrow the selection first.")
            self.message_user(request, text % {"most": f"{MOST_CONTACTS:,}"}, messages.ERROR)
            return self._back(chosen)
        if not chosen.contacts:
            self.message_user(request, _("None of these contacts is there any more."), messages.WARNING)
            return self._back(chosen)
        return act(request, chosen)

    def _back(self, chosen: Chosen) -> HttpResponse:
        if chosen.from_page and len(chosen.contacts) == 1:
            return HttpResponseRedirect(self.link("change", chosen.contacts[0].pk))
        query = f"?{chosen.query}" if chosen.query else ""
        return HttpResponseRedirect(self.link("changelist") + query)

    # The acts

    def _sync(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        ours = [one for one in chosen.contacts if one.desired_gen > 0]
        with transaction.atomic():
            count = acts.sync_now(ours)
            log(request, ours, _("Asked to sync now."))
        text = ngettext("%(n)s contact is due now.", "%(n)s contacts are due now.", count)
        self.message_user(request, text % {"n": count}, messages.SUCCESS if count else messages.WARNING)
        if foreign := len(chosen.contacts) - len(ours):
            text = _("%(n)s without a member of the site: never written, so there is nothing to sync.")
            self.message_user(request, text % {"n": foreign}, messages.WARNING)
        return self._back(chosen)

    def _plan(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        if len(chosen.contacts) > MOST_PLANS:
            text = _(
                "A plan asks Constant Contact about each contact: select %(most)s at most. For all, use ctct_plan."
            )
            self.message_user(request, text % {"most": MOST_PLANS}, messages.ERROR)
            return self._back(chosen)
        context = {"plans": show_plans(chosen.contacts), "chosen": chosen, "back": self._back(chosen)["Location"]}
        return self.page(request, "contact/plan.html", _("What would be written"), context)

    def _respect(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        self.respect_all(request, Contact.objects.filter(pk__in=[one.pk for one in chosen.contacts]))
        return self._back(chosen)

    def _remove(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        lists = self._managed(chosen.contacts)
        form = self._confirmation(request, "remove")
        if form is None or not form.is_valid():
            title = _("Remove from all managed lists")
            return self._ask(request, chosen, "remove", title, form, {"lists": lists})
        with transaction.atomic():
            for one in chosen.contacts:
                acts.leave_all_lists(one, source=OptOutSource.OWNER)
            log(request, chosen.contacts, _("Removed from all managed lists."))
        text = ngettext(
            "%(n)s contact leaves all managed lists.", "%(n)s contacts leave all managed lists.", len(chosen.contacts)
        )
        self.message_user(request, text % {"n": len(chosen.contacts)}, messages.SUCCESS)
        return self._back(chosen)

    def _lift(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        with transaction.atomic():
            lifted = [one for one in chosen.contacts if acts.lift_removal(one)]
            log(request, lifted, _("Let the site's rules count again."))
        if lifted:
            text = ngettext(
                "The rules count again for %(n)s contact.", "The rules count again for %(n)s contacts.", len(lifted)
            )
            self.message_user(request, text % {"n": len(lifted)}, messages.SUCCESS)
        else:
            self.message_user(request, _("Staff had taken none of these contacts off a list."), messages.WARNING)
        return self._back(chosen)

    def _opt_out(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        """Opt out those who have not yet: a person's own opt-out must not become one of staff."""
        already = [one for one in chosen.contacts if self._opted_out(one)]
        todo = [one for one in chosen.contacts if not self._opted_out(one)]
        form = self._confirmation(request, "opt_out")
        if form is None or not form.is_valid() or not todo:
            return self._ask(
                request, chosen, "opt_out", _("Opt out for good"), form, {"already": already, "todo": todo}
            )
        with transaction.atomic():
            for one in todo:
                told = {"reason": form.cleaned_data["why"], "actor": request.user.get_username()}
                acts.opt_out(one, source=OptOutSource.OWNER, **told)
            log(request, todo, _("Opted out for good."))
        text = ngettext("%(n)s contact is opted out, for good.", "%(n)s contacts are opted out, for good.", len(todo))
        self.message_user(request, text % {"n": len(todo)}, messages.SUCCESS)
        return self._back(chosen)

    def _opted_out(self, contact: Contact) -> bool:
        return contact.opt_out_wanted or contact.status == ContactStatus.DO_NOT_MAIL.value

    def _confirmation(self, request: HttpRequest, act: str) -> Confirmation | None:
        """Return the form that was sent, or None when the page has not been shown yet."""
        return _form(act)(act, request.POST) if "confirm" in request.POST else None

    def _ask(
        self,
        request: HttpRequest,
        chosen: Chosen,
        act: str,
        title: str,
        form: Confirmation | None,
        more: dict[str, Any],
    ) -> HttpResponse:
        context = {
            "act": act,
            "chosen": chosen,
            "form": form or _form(act)(act),
            "action_url": self.link(act),
            "back": self._back(chosen)["Location"],
            **more,
        }
        return self.page(request, f"contact/{act}.html", title, context)

    def _managed(self, contacts: Sequence[Contact]) -> list[ContactList]:
        accounts = {one.account_id for one in contacts}
        return list(ContactList.objects.filter(account__in=accounts, key__isnull=False))


def _form(act: str) -> type[Confirmation]:
    return OptOutConfirmation if act == "opt_out" else Confirmation
