"""The pages for staff: what the site wants, what Constant Contact has, what is under way and why anything is stuck.

The rows are shown and never edited by hand. What staff may do is an act with a permission of its own, sent by
POST; looking at a page changes nothing and calls nobody. No policy lives here: what will happen is asked of
``planning``, and what was asked for is done by ``acts`` and ``catalogue``.
"""

from __future__ import annotations

from django.contrib import admin

from ..models import Account, Contact, ContactList, WriteAttempt
from .accounts import AccountAdmin
from .contacts import ContactAdmin
from .lists import ContactListAdmin
from .writes import WriteAttemptAdmin

__all__ = ["AccountAdmin", "ContactAdmin", "ContactListAdmin", "WriteAttemptAdmin"]

admin.site.register(Contact, ContactAdmin)
admin.site.register(ContactList, ContactListAdmin)
admin.site.register(Account, AccountAdmin)
admin.site.register(WriteAttempt, WriteAttemptAdmin)
