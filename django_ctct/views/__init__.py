"""The pages for members: unsubscribe, preferences, and a fresh link. Staff's pages are in ``admin``.

No page here asks who the visitor is: the link that she holds is all her right, and it says whose letters it is
about. So there is no login, session or cookie, and nothing to forge across sites. No page makes a request to
Constant Contact, and none logs an address or a link. It may import acts, links, services and what lies below them.
"""

from .fresh import fresh_link, link_expired, link_sent
from .preferences import preferences
from .unsubscribe import unsubscribe

__all__ = ["fresh_link", "link_expired", "link_sent", "preferences", "unsubscribe"]
