"""The acts of staff on a contact, as the admin's own log has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from ..models import Contact

__all__ = ["StaffAct", "staff_acts"]

#: A page shows this many of the latest.
MOST = 50


@dataclass(frozen=True, slots=True)
class StaffAct:
    """One act of staff, from the admin's log."""

    at: datetime
    who: str
    what: str


def staff_acts(contact: Contact) -> list[StaffAct]:
    """Return what staff did with a contact, newest first."""
    kind = ContentType.objects.get_for_model(Contact)
    found = LogEntry.objects.filter(content_type=kind, object_id=str(contact.pk)).select_related("user")
    newest = found.order_by("-action_time")[:MOST]
    return [StaffAct(one.action_time, one.user.get_username(), one.get_change_message()) for one in newest]
