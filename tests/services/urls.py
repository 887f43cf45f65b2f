"""One page of a site: somebody joins, or changes her membership."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.site.models import Member


@transaction.atomic
def join(request: HttpRequest) -> HttpResponse:
    member = Member.objects.filter(email=request.POST["email"]).first() or Member(email=request.POST["email"])
    member.is_sustainer = request.POST["list"] == "sustainers"
    member.is_free = not member.is_sustainer
    member.save()
    return HttpResponse("welcome")


urlpatterns = [path("join/", join)]
