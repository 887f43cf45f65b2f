"""The app of the site's members."""

from django.apps import AppConfig


class MembersConfig(AppConfig):
    name = "example_project.members"
    label = "members"
