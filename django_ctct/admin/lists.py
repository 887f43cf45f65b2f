"""The lists: which are managed, by which key, and the act of binding. A list without a key is never touched."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import adapters, catalogue
from ..models import Account, ContactList
from ..verdict.words import moment
from .banners import banners
from .base import CtctAdmin, log, posted
from .chips import badge
from .connection import check, known_aliases
from .filters import ManagedFilter

__all__ = ["BindForm", "ContactListAdmin", "known_keys"]

SHOWN = ["standing", "account", "name", "remote_id", "key", "members", "seen_at", "missing_since"]
POLICIES = ["on_remote_removal", "on_remote_addition"]


def known_keys(account: Account) -> dict[str, str]:
    """Return the keys that may be bound, each with what staff should know about it.

    A key is known from an adapter, or from members who are wished on it already.
    """
    waiting = catalogue.unbound_keys(account)
    bound = {one.key: one for one in ContactList.objects.filter(account=account, key__isnull=False)}
    keys = set(waiting) | {key for key in bound if key}
    # The checks say what is wrong with the adapters; the other keys can be bound all the same.
    with suppress(ImproperlyConfigured):
        keys |= {key for adapter in adapters.for_account(account.alias) for key in adapter.lists}
    return {key: _about(key, bound.get(key), key in waiting) for key in sorted(keys)}


def _about(key: str, bound: ContactList | None, waiting: bool) -> str:
    if bound is not None:
        return _("%(key)s (now bound to “%(list)s”: it would move here)") % {"key": key, "list": bound}
    if waiting:
        return _("%(key)s (no list yet, and members wait for it)") % {"key": key}
    return _("%(key)s (no list yet)") % {"key": key}


class BindForm(forms.Form):
    """Choose one of the known keys."""

    key = forms.ChoiceField(label=gettext_lazy("Key"), widget=forms.RadioSelect)

    def __init__(self, row: ContactList, data: Any = None) -> None:
        super().__init__(data)
        choices = [(key, about) for key, about in known_keys(row.account).items() if key != row.key]
        self.fields["key"].choices = choices  # type: ignore[attr-defined]  # the field above has choices
        self.initial["key"] = choices[0][0] if len(choices) == 1 else None


class ContactListAdmin(CtctAdmin[ContactList]):
    """Look at lists, set the policies of managed ones, bind keys."""

    list_display = ["name", "standing", "key", "members", "policies", "seen_at"]
    list_filter = [ManagedFilter, "account"]
    list_select_related = ["account"]
    search_fields = ["name", "key"]
    search_help_text = gettext_lazy("Search by name or key")
    change_list_template = "admin/django_ctct/contactlist/change_list.html"
    change_form_template = "admin/django_ctct/contactlist/change_form.html"
    fields = [*SHOWN, *POLICIES]
    actions = None

    def get_urls(self) -> list[Any]:
        return [
            self.act_path("read/", self.read_view, "read"),
            self.act_path("<path:object_id>/bind/", self.bind_view, "bind"),
            self.act_path("<path:object_id>/unbind/", self.unbind_view, "unbind"),
            *super().get_urls(),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: ContactList | None = None) -> list[str]:
        return SHOWN

    def save_model(self, request: HttpRequest, obj: ContactList, form: Any, change: bool) -> None:
        """Write what was changed and nothing else: the rest may have been read anew meanwhile."""
        obj.save(update_fields=[name for name in form.changed_data if name in POLICIES])
        catalogue.policies_changed(obj)

    # The list

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        ours = {
            "banners": banners(Account.objects.all()),
            "aliases": known_aliases() if self.may(request, "check_account") else [],
            "read_url": self.link("read"),
        }
        return super().changelist_view(request, {**ours, **(extra_context or {})})

    @admin.display(description=gettext_lazy("managed"), ordering="key")
    def standing(self, row: ContactList) -> SafeString:
        if row.missing_since is not None:
            text = _("missing at Constant Contact since %(at)s") % {"at": moment(row.missing_since)}
            return format_html('{}<span class="ctct-why">{}</span>', badge("bad", "!", _("Missing")), text)
        if row.key is not None:
            return badge("good", "✓", _("Managed"))
        return format_html(
            '{}<span class="ctct-why">{}</span>', badge("quiet", "–", _("Not managed")), _("never touched")
        )

    @admin.display(description=gettext_lazy("changes made there"))
    def policies(self, row: ContactList) -> SafeString | str:
        if row.key is None:
            return "–"
        left = _("who leaves stays off") if row.on_remote_removal == "respect" else _("who leaves is put back")
        added = _("who is added is taken off") if row.on_remote_addition == "remove" else _("who is added stays")
        return format_html("{}<br>{}", left, added)

    @posted("check_account")
    def read_view(self, request: HttpRequest) -> HttpResponse:
        """Read the lists of one account from Constant Contact."""
        check(self, request, request.POST.get("alias", ""))
        return HttpResponseRedirect(self.link("changelist"))

    # One list

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        bind = self.may(request, "bind_contactlist")
        return super().change_view(request, object_id, form_url, {"may_bind": bind, **(extra_context or {})})

    def bind_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the key, then bind it. Asking changes nothing."""
        if not self.may(request, "bind_contactlist"):
            raise PermissionDenied
        row = self._row(request, object_id)
        form = BindForm(row, request.POST if request.method == "POST" else None)
        if form.is_valid() and self._bind(request, row, form.cleaned_data["key"]):
            return HttpResponseRedirect(self.link("change", row.pk))
        title = _("Bind “%(list)s” to a key") % {"list": row}
        return self.page(request, "contactlist/bind.html", title, {"form": form, "row": row, "original": row})

    def _bind(self, request: HttpRequest, row: ContactList, key: str) -> bool:
        try:
            with transaction.atomic():
                catalogue.bind_list(row.account, key, row.remote_id)
                log(request, [row], _("Bound to the key %(key)s.") % {"key": key})
        except IntegrityError:
            self.message_user(
                request, _("Somebody else bound this key at the same moment. Look again."), messages.ERROR
            )
            return False
        text = _("“%(list)s” is bound to the key “%(key)s”. Members who waited for it go on.")
        self.message_user(request, text % {"list": row, "key": key}, messages.SUCCESS)
        return True

    @posted("bind_contactlist")
    def unbind_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the key off a list."""
        row = self._row(request, object_id)
        key = row.key or ""
        with transaction.atomic():
            catalogue.unbind_list(row)
            log(request, [row], _("The key %(key)s was taken off.") % {"key": key})
        text = _("“%(list)s” is not managed any more: nobody is added to it or taken off.")
        self.message_user(request, text % {"list": row}, messages.SUCCESS)
        return HttpResponseRedirect(self.link("change", row.pk))

    def _row(self, request: HttpRequest, object_id: str) -> ContactList:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactList]:
        return super().get_queryset(request).select_related("account")
