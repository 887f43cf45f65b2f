"""A small site with members, as the tests need one."""

from __future__ import annotations

from django.db import models


class Member(models.Model):
    email = models.CharField(max_length=400, blank=True)
    first_name = models.CharField(max_length=200, blank=True)
    last_name = models.CharField(max_length=200, blank=True)
    employer = models.CharField(max_length=200, blank=True)
    tier = models.CharField(max_length=200, blank=True)
    is_free = models.BooleanField(default=True)
    is_sustainer = models.BooleanField(default=False)
    wants_newsletter = models.BooleanField(default=False)
    visits = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"member {self.pk}"

    def reads_the_letter(self) -> bool:
        """A rule that depends on another table, and on a member who explodes."""
        if self.first_name == "explode":
            raise ZeroDivisionError(f"the text of an error may hold an address: {self.email}")
        return self.wants_newsletter or self.subscriptions.filter(active=True).exists()


class Subscription(models.Model):
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="subscriptions")
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"subscription {self.pk}"


class Supporter(Member):
    """A child model: saving it sends a signal of its own class."""

    since = models.IntegerField(default=2020)


class Friend(Member):
    """A proxy: likewise."""

    class Meta:
        proxy = True
