"""A small site with members, as an example of how ``django_ctct`` is used. See ``manage.py demo``."""

from .celery import app as celery_app

__all__ = ["celery_app"]
