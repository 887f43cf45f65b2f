"""The template tags give a site's own letters and pages their links."""

from __future__ import annotations

from typing import Any

import pytest
from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory

from django_ctct import links
from django_ctct.links import Purpose
from tests.site.models import Friend, Member

from .scene import ADA

pytestmark = pytest.mark.django_db


def shown(tag: str, **context: Any) -> str:
    return Template("{% load ctct %}" + tag).render(Context(context))


def read(url: str, purpose: Purpose) -> links.SignedLink:
    return links.read(url.rstrip("/").rpartition("/")[2], purpose)


def test_an_address_gets_both_links() -> None:
    url = shown("{% ctct_preferences_url address %}", address=ADA)
    assert url.startswith("/ctct/preferences/")
    assert read(url, Purpose.PREFERENCES).address == ADA
    url = shown("{% ctct_unsubscribe_url address 'newsletter' %}", address=ADA)
    assert (read(url, Purpose.UNSUBSCRIBE).address, read(url, Purpose.UNSUBSCRIBE).key) == (ADA, "newsletter")
    url = shown("{% ctct_unsubscribe_url address %}", address=ADA)
    assert read(url, Purpose.UNSUBSCRIBE).key == links.EVERYTHING


@pytest.mark.parametrize("model", [Member, Friend])
def test_a_member_gets_the_link_of_the_address_that_her_adapter_names(model: Any) -> None:
    member = model(email=" Ada@Example.com ")
    member.save_base(raw=True)
    url = shown("{% ctct_preferences_url member %}", member=member)
    assert read(url, Purpose.PREFERENCES).address == ADA


def test_with_the_request_or_a_root_the_url_is_absolute() -> None:
    request = RequestFactory().get("/", secure=True)
    url = shown("{% ctct_preferences_url address %}", address=ADA, request=request)
    assert url.startswith("https://testserver/ctct/preferences/")
    url = shown("{% ctct_unsubscribe_url address root='https://example.org/' %}", address=ADA)
    assert url.startswith("https://example.org/ctct/unsubscribe/")


@pytest.mark.parametrize("nobody", ["", None, "no address"])
def test_nobody_gets_no_link(nobody: Any) -> None:
    assert shown("{% ctct_preferences_url whose %}{% ctct_unsubscribe_url whose %}", whose=nobody) == ""


def test_an_object_that_is_no_member_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TemplateSyntaxError, match="give the tag an address, or a member"):
        shown("{% ctct_preferences_url whose %}", whose=RequestFactory())
