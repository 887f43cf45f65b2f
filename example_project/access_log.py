"""What the site's web server may log of a request: its path, but no query, which may hold a code that connects, and no
link of a member's, which is as good as her word.
"""

from __future__ import annotations

import logging
import re

__all__ = ["WithoutQueries"]

_QUERY = re.compile(r"\?\S*")
_LINK = re.compile(r"(/ctct/\w+/)[^/\s]{20,}")


class WithoutQueries(logging.Filter):
    """Cut the query, and a member's link, out of every request line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_discreet(one) if isinstance(one, str) else one for one in record.args)
        return True


def _discreet(line: str) -> str:
    return _LINK.sub(r"\1…", _QUERY.sub("?…", line))
