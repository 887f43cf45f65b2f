"""What all pages have in common: rows that no hand edits, acts by POST with a permission each, and their trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.text import capfirst

from ..models import Contact
from .trouble import wrong_settings

__all__ = ["CtctAdmin", "ReadOnlyAdmin", "log", "posted"]

M = TypeVar("M", bound=Model)
View = TypeVar("View", bound=Callable[..., HttpResponse])

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
else:

    class _ModelAdmin(admin.ModelAdmin):
        """Django's class takes no type argument at run time."""

        def __class_getitem__(cls, _model):
            return cls


class CtctAdmin(_ModelAdmin[M], Generic[M]):
    """Rows of a mirror: neither added nor deleted by hand."""

    class Media:
        css = {"all": ["django_ctct/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"wrong_settings": wrong_settings(), **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        told = {"wrong_settings": wrong_settings(), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, told)

    def may(self, request: HttpRequest, permission: str) -> bool:
        """Say whether this user may see these rows and has the permission of an act, by its codename."""
        return self.has_view_permission(request) and request.user.has_perm(f"{self.opts.app_label}.{permission}")

    def act_path(self, route: str, view: Callable[..., HttpResponse], name: str) -> Any:
        """Return the URL of an act or a page of ours, ``admin:django_ctct_<model>_<name>``."""
        full = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(view), name=full)

    def link(self, name: str, *args: object) -> str:
        """Return the address of one of this model's pages."""
        full = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(full, args=args, current_app=self.admin_site.name)

    def page(self, request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> TemplateResponse:
        """Render a page of ours in the admin's frame."""
        request.current_app = self.admin_site.name
        frame = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "media": self.media,
            "wrong_settings": wrong_settings(),
        }
        return TemplateResponse(request, f"admin/django_ctct/{template}", {**frame, **context})


class ReadOnlyAdmin(CtctAdmin[M], Generic[M]):
    """Rows that are looked at and never edited."""

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


def posted(permission: str) -> Callable[[View], View]:
    """Let a view of an admin run only for POST and only with a permission, outside of any transaction.

    No transaction may span a call to Constant Contact, also where the site sets ``ATOMIC_REQUESTS``.
    """

    def wrap(view: View) -> View:
        @transaction.non_atomic_requests
        @wraps(view)
        def checked(self: CtctAdmin[Any], request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            if not self.may(request, permission):
                raise PermissionDenied
            return view(self, request, *args, **kwargs)

        return cast("View", checked)

    return wrap


def log(request: HttpRequest, rows: Sequence[Model], message: str) -> None:
    """Keep in the admin's log who did it. ``log_actions`` would write down a contact as text, and so her address."""
    entries = [_entry(request, row, message) for row in rows]
    if len(entries) == 1:
        entries[0].save()  # as Django does: a site may listen to it
    else:
        LogEntry.objects.bulk_create(entries)


def _entry(request: HttpRequest, row: Model, message: str) -> LogEntry:
    return LogEntry(
        user_id=request.user.pk,  # type: ignore[misc]  # who may act is logged in
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=_name(row)[:200],
        action_flag=CHANGE,
        change_message=message,
    )


def _name(row: Model) -> str:
    """Name a row for the log, which outlives an erasure: a contact by its number."""
    return f"{capfirst(row._meta.verbose_name)} {row.pk}" if isinstance(row, Contact) else str(row)
