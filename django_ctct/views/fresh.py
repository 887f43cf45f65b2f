"""A fresh link, for whoever types an address: the answer tells nobody whether the site knows it."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from ..links import LIFETIME
from . import letters
from .discreet import discreet

__all__ = ["AddressForm", "fresh_link", "link_expired", "link_sent"]


class AddressForm(forms.Form):
    address = forms.EmailField(
        label=_("Your e-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autocapitalize": "none", "spellcheck": "false"}),
    )


@discreet
def fresh_link(request: HttpRequest) -> HttpResponse:
    """Ask for the address, and on POST mail a link to it if the site knows it. The answer is always the same."""
    form = AddressForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        return letters.send_to_anybody(request, form.cleaned_data["address"])
    status = 422 if form.is_bound else 200
    return render(request, "django_ctct/link_form.html", {"form": form}, status=status)


@discreet
def link_sent(request: HttpRequest) -> HttpResponse:
    """Say that a letter comes, if the site knows the address."""
    return render(request, "django_ctct/link_sent.html", {"days": LIFETIME.days})


@discreet
def link_expired(request: HttpRequest) -> HttpResponse:
    """Say that a link does not work, and offer a fresh one."""
    return render(request, "django_ctct/link_expired.html", {"form": AddressForm(), "days": LIFETIME.days}, status=410)
