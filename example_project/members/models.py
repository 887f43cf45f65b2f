"""The site's members. They know nothing of Constant Contact; ``ctct.py`` does."""

from __future__ import annotations

from django.db import models
from django.urls import reverse


class Tier(models.TextChoices):
    FREE = "free", "Free member"
    SUSTAINER = "sustainer", "Sustainer"


class Member(models.Model):
    """A person who listens: for free, or giving something every month."""

    email = models.EmailField(unique=True)
    first_name = models.CharField(max_length=50)
    last_name = models.CharField(max_length=50)
    employer = models.CharField(max_length=50, blank=True)
    tier = models.CharField("membership", max_length=10, choices=Tier.choices, default=Tier.FREE)
    wants_newsletter = models.BooleanField("wants the newsletter", default=False)
    favourite = models.CharField("favourite programme", max_length=80, blank=True)
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["first_name", "last_name", "pk"]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}"

    def get_absolute_url(self) -> str:
        return reverse("member", args=[self.pk])

    @property
    def is_free(self) -> bool:
        return self.tier == Tier.FREE

    @property
    def is_sustainer(self) -> bool:
        return self.tier == Tier.SUSTAINER

    def upgrade(self) -> None:
        """Become a Sustainer."""
        self.tier = Tier.SUSTAINER
        self.save()

    def downgrade(self) -> None:
        """Go back to the free membership."""
        self.tier = Tier.FREE
        self.save()
