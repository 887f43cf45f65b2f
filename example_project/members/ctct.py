"""What a member means at Constant Contact."""

from django_ctct.adapters import MemberAdapter

from .models import Member


class Members(MemberAdapter):
    model = Member
    lists = {"free": "is_free", "sustainers": "is_sustainer", "newsletter": "wants_newsletter"}
    fields = {"company_name": "employer"}
