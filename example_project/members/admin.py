"""The office's view of the members."""

from django.contrib import admin

from .models import Member


@admin.register(Member)
class MemberAdmin(admin.ModelAdmin):
    list_display = ("__str__", "email", "tier", "wants_newsletter", "joined_at")
    list_filter = ("tier", "wants_newsletter")
    search_fields = ("first_name", "last_name", "email")
    readonly_fields = ("joined_at",)
