"""The pages. What changes a member is an ordinary save: that it reaches Constant Contact is the package's work.

Only what a rule cannot know is said to the package: that a person left a list, or asked to come back.
"""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from django_ctct import acts
from django_ctct.exceptions import ListNotBound

from .forms import JoinForm
from .models import Member
from .standing import LIST_NAMES, standing, states

#: What the button says is kept with the consent: it is what the person agreed to.
WORDING = "Yes, please write to me again: {}."
NOT_BOUND = (
    "The lists are not bound yet. Start the site with “manage.py demo”, or bind them with “manage.py ctct_lists”."
)


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is, and let the visitor choose a member to be."""
    members = list(Member.objects.all()[:60])
    known = states(members)
    people = [(one, known.get(one.email.lower())) for one in members]
    return render(request, "members/home.html", {"people": people, "total": Member.objects.count()})


@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Become a Free member."""
    form = JoinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        member = form.save()
        messages.success(request, f"Welcome, {member.first_name}. You are a Free member now.")
        return redirect(member)
    return render(request, "members/join.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
def member(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one member: what she may do, and where she stands on both sides."""
    person = get_object_or_404(Member, pk=pk)
    return render(request, "members/member.html", {"member": person, "standing": standing(person)})


@require_POST
def upgrade(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the member a Sustainer. Nothing here speaks of lists."""
    person = get_object_or_404(Member, pk=pk)
    person.upgrade()
    messages.success(request, f"Thank you, {person.first_name}. You are a Sustainer now.")
    return redirect(person)


@require_POST
def downgrade(request: HttpRequest, pk: int) -> HttpResponse:
    """Go back to the free membership."""
    person = get_object_or_404(Member, pk=pk)
    person.downgrade()
    messages.success(request, f"{person.first_name}, you are a Free member again.")
    return redirect(person)


@require_POST
def newsletter(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the newsletter, or stop it."""
    person = get_object_or_404(Member, pk=pk)
    person.wants_newsletter = request.POST.get("wanted") == "yes"
    person.save()
    messages.success(request, "The newsletter is on." if person.wants_newsletter else "The newsletter is off.")
    return redirect(person)


@require_POST
def leave(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Unsubscribe from one list. Her word outlasts every rule of the site."""
    person = get_object_or_404(Member, pk=pk)
    try:
        with transaction.atomic():
            acts.leave_list(person.email, key)
        messages.success(request, f"You are unsubscribed from “{LIST_NAMES.get(key, key)}”.")
    except ListNotBound:
        messages.error(request, NOT_BOUND)
    return redirect(person)


@require_POST
def come_back(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Record that she asked to be on a list again. Only her own act may call this."""
    person = get_object_or_404(Member, pk=pk)
    contact = standing(person).contact
    try:
        with transaction.atomic():
            if contact is not None:
                wording = WORDING.format(LIST_NAMES.get(key, key))
                acts.resubscribe(contact, [key], method="button on the member page", wording=wording)
        messages.success(request, f"Welcome back to “{LIST_NAMES.get(key, key)}”.")
    except ListNotBound:
        messages.error(request, NOT_BOUND)
    return redirect(person)
