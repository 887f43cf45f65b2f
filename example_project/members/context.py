"""What every page may link to."""

from django.conf import settings
from django.http import HttpRequest


def surroundings(request: HttpRequest) -> dict[str, str]:
    """Name the sandbox's page, which shows the other side of what happens here."""
    return {"constant_contact": settings.CTCT_BASE_URL}
