"""The form by which people join."""

from django import forms

from .models import Member


class JoinForm(forms.ModelForm):
    class Meta:
        model = Member
        fields = ("first_name", "last_name", "email", "employer", "wants_newsletter")
        labels = {
            "email": "E-mail address",
            "employer": "Where you work (optional)",
            "wants_newsletter": "Send me the weekly newsletter",
        }
        widgets = {
            "first_name": forms.TextInput({"autocomplete": "given-name"}),
            "last_name": forms.TextInput({"autocomplete": "family-name"}),
            "email": forms.EmailInput({"autocomplete": "email", "placeholder": "you@example.com"}),
            "employer": forms.TextInput({"autocomplete": "organization"}),
        }
        error_messages = {"email": {"unique": "Somebody with this address is a member already."}}

    def clean_email(self) -> str:
        """Keep addresses in lower case, so that one person joins once."""
        return self.cleaned_data["email"].lower()
