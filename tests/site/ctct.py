"""The test site's adapter."""

from __future__ import annotations

from django_ctct.adapters import MemberAdapter

from .models import Member


class Members(MemberAdapter):
    model = Member
    lists = {"free": "is_free", "sustainers": "is_sustainer", "newsletter": "reads_the_letter"}
    fields = {"company_name": "employer", "custom:1": "tier"}
    watch = {"site.Subscription": "member"}
