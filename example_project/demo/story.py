"""The story, step by step. The process that runs it is the site: it saves members, and a worker does the rest.

Each step says what happens in the site, waits until Constant Contact has it, reads it back, and checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO

from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from django_ctct import acts, services
from django_ctct.models import Account, Contact, ContactList, SyncState
from django_ctct.planning import Create, Update

from . import cast
from .cast import ADA, BOARD, EDDA, FREE, JON, MAREN, NEWSLETTER, SUSTAINERS, TOM, Person
from .connecting import connect
from .constant_contact import Asked
from .stage import Stage, StepFailed

__all__ = ["CONNECT", "Step", "steps"]

#: A step: its title, and what it does. It returns what is said beside the tick.
Step = tuple[str, Callable[[Stage], str]]


def the_plan_is_read(stage: Stage) -> str:
    """An account that holds people already is read first, and nothing is sent before staff have seen the plan."""
    stage.tell(
        "The account holds people already. The worker reads it, takes what it finds as it is, and sends nothing until "
        "somebody in the office has read the plan."
    )
    if not stage.screen.wait_until(lambda: _account().pulled_at is not None, "the worker", stage.patience):
        raise StepFailed("an account that was read", "none")
    for person in cast.CAST:
        stage.screen.note(f"{person.email}: {_planned(person)}")
    asked = [one for one in stage.asked(0) if not one.path.startswith("/oauth2/")]
    stage.expect(bool(asked) and not _writes(asked), "reads only", _counted(asked))
    _press(lambda: acts.approve(_account(), by="Olga, in the office"))
    return f"{_counted(asked)}: no write; Olga has read the plan and approved it"


def first_meeting(stage: Stage) -> str:
    """The members that the site has already are brought to the account, and it to them."""
    stage.tell(
        "The site has four members. Constant Contact knows one of them, Maren, who is also on a list that the site "
        "does not manage; and a visitor who is no member at all."
    )
    for person in cast.CAST:
        stage.expect_state(person, SyncState.IN_SYNC)
    stage.expect_there(MAREN, "Active", {FREE, BOARD})
    return "all four are in sync, and Maren is still on the Board list"


def a_free_member_joins(stage: Stage) -> str:
    stage.tell("Ada joins on the site as a Free member and takes the newsletter. The site saves one Member, no more.")
    ADA.join()
    found = stage.expect_there(ADA, "Active", {FREE, NEWSLETTER})
    employer = found.fields.get("CompanyName", "")
    stage.expect(employer == ADA.employer, f"the company name {ADA.employer!r}", repr(employer))
    return "Ada is on Free members and on Newsletter"


def a_member_upgrades(stage: Stage) -> str:
    stage.tell(
        "Maren upgrades to Sustainer. She must leave Free members, which gets the “please upgrade” letters, and join "
        "Sustainers. The Board list is none of the site's business: it keeps her."
    )
    MAREN.member().upgrade()
    stage.expect_there(MAREN, "Active", {SUSTAINERS, BOARD})
    return "Maren has left Free members, joined Sustainers, and kept the Board list"


def news_from_there(stage: Stage) -> str:
    stage.tell(
        "Jon follows the link in a letter's footer and leaves the newsletter, at Constant Contact. Nobody tells the "
        "site, so it asks every few minutes; here at once, with `manage.py ctct_pull`."
    )
    stage.there.act(email=JON.email, do="leave", list=NEWSLETTER)
    before = stage.there.count_asked()
    said = StringIO()
    call_command("ctct_pull", stdout=said)
    stage.screen.quote(said.getvalue().strip())
    stage.expect_state(JON, SyncState.REFUSED)
    stage.tell("Next, Jon's page is saved on the site, where the rule still wants him on it. He stays off.")
    JON.member().save()
    _sync_now(stage, JON.email)
    stage.expect_there(JON, "Active", {SUSTAINERS})
    asked = stage.asked(before, show=True)
    stage.expect(not _writes(asked), "no write", _counted(asked))
    return f"{_counted(asked)}: no write; who left a list stays off it"


def nothing_different(stage: Stage) -> str:
    stage.tell("Ada tells the site her favourite programme. No rule reads that: nothing is due, nobody is asked.")
    wish, before = _contact(ADA.email).desired_gen, stage.there.count_asked()
    ada = ADA.member()
    ada.favourite = "Reeds at Dawn"
    ada.save()
    stage.expect(_contact(ADA.email).desired_gen == wish, "no new wish", "a new wish")
    stage.tell("Then somebody in the office asks for a sync all the same. The worker looks, and writes nothing.")
    _sync_now(stage, ADA.email)
    asked = stage.asked(before, show=True)
    stage.expect(bool(asked) and not _writes(asked), "reads only", _counted(asked))
    return f"{_counted(asked)}: no write"


def the_last_list(stage: Stage) -> str:
    words = stage.there.words
    stage.tell(
        "Tom presses “unsubscribe” on the site. It is his last list. He is taken off it, without being opted out: "
        f"a PUT with {words.empty}, by the site's own act."
    )
    before = stage.there.count_asked()
    _press(lambda: acts.leave_list(TOM.email, "free"))
    stage.expect_there(TOM, "Removed", ())
    asked = stage.asked(before, show=True)
    _expect_one_put(stage, asked)
    stage.expect_state(TOM, SyncState.REFUSED)
    return f"one PUT, {words.site_acts}; Tom is {words.removed}, not {words.opted_out}, and no rule puts him back"


def he_comes_back(stage: Stage) -> str:
    removed = stage.there.words.removed
    stage.tell(f"Next week Tom presses “write to me again”. Who is {removed} may be added back.")
    _come_back(TOM.email, "free")
    stage.expect_there(TOM, "Active", {FREE})
    stage.expect_state(TOM, SyncState.IN_SYNC)
    return "Tom is on Free members again"


def an_opt_out_stands(stage: Stage) -> str:
    stage.tell(
        "Edda follows the link in a letter's footer and unsubscribes from everything, at Constant Contact. The site "
        "does not know. She upgrades, and the site's rule wants her on Sustainers."
    )
    stage.there.act(email=EDDA.email, do="unsubscribe")
    before, held = stage.there.count_asked(), stage.there.holding(EDDA.email)
    EDDA.member().upgrade()
    stage.expect_state(EDDA, SyncState.REFUSED)
    found = stage.show(EDDA)
    asked = stage.asked(before, show=True)
    stage.expect(not _writes(asked), "no write", _counted(asked))
    stage.expect(found == held and found is not None and found.status == "Do Not Mail", str(held), found)
    said = stage.there.words.opted_out
    return f"{_counted(asked)}: no write; still {said}; the admin shows her as “{SyncState.REFUSED.label}”"


def only_she_herself(stage: Stage) -> str:
    own = stage.there.words.contact_acts
    stage.tell(
        "Only Edda herself can undo that. She ticks “yes, write to me again: Sustainers” on the site; the site keeps "
        f"her words as a consent, and that one write says {own}."
    )
    before = stage.there.count_asked()
    _come_back(EDDA.email, "sustainers")
    stage.expect_there(EDDA, "Active", {SUSTAINERS})
    writes = _writes(stage.asked(before))
    source = [one for one in writes if own in stage.there.act_in(one.body)]
    stage.expect(len(writes) == len(source) == 1, "one write, by her own act", _counted(writes))
    return f"one PUT, {own}; Edda is on Sustainers"


def nothing_is_lost(stage: Stage) -> str:
    stage.tell(
        "The worker is killed (-9). Ada upgrades; nobody is there to do it. To make it worse, the message that told "
        "of it is thrown away. Then a new worker starts, and its sweep finds the row."
    )
    stage.kill_worker()
    stage.expect(not stage.worker_is_alive(), "no worker", "a worker")
    ADA.member().upgrade()
    stage.screen.note(f"messages thrown away: {_throw_messages_away()}")
    stage.expect_state(ADA, SyncState.PENDING)
    stage.start_worker()
    every = settings.DEMO_SWEEP_SECONDS
    stage.tell(f"The sweep comes every {every:g} seconds here; on a real site once a minute is enough.")
    stage.expect_there(ADA, "Active", {SUSTAINERS, NEWSLETTER}, by="the sweep")
    return "the change has arrived: the row is the queue, a message is only a hint"


def strangers_are_left_alone(stage: Stage) -> str:
    stage.tell(f"All this time a visitor was on {NEWSLETTER}, a list that the site manages, without being a member.")
    found = stage.there.holding(cast.STRANGER)
    stage.expect(found is not None and found.version == 1, "a contact that was never written", found)
    return "never written: what is not the site's is left alone"


def steps(api: str) -> Sequence[Step]:
    """Return the story over an API of Constant Contact. Where a person has to consent, it begins with that."""
    return (CONNECT, *_STEPS) if api == "v3" else _STEPS


CONNECT: Step = ("Connect", connect)
_STEPS: Sequence[Step] = (
    ("The plan is read", the_plan_is_read),
    ("The site meets the account", first_meeting),
    ("A new Free member", a_free_member_joins),
    ("Free → Sustainer", a_member_upgrades),
    ("A change that changes nothing", nothing_different),
    ("What happens at Constant Contact", news_from_there),
    ("The unsubscribe button, on the last list", the_last_list),
    ("He comes back", he_comes_back),
    ("An opt-out, and a rule that would add her again", an_opt_out_stands),
    ("Only she herself", only_she_herself),
    ("The worker dies", nothing_is_lost),
    ("The stranger", strangers_are_left_alone),
)


def _account() -> Account:
    return Account.objects.get(alias="default")


def _planned(person: Person) -> str:
    """Say what would be sent for somebody, going by what was read: no request is made for it."""
    plan = services.forecast(_contact(person.email).pk).plan
    if not isinstance(plan, (Create, Update)):
        return "nothing to do"
    names = dict(ContactList.objects.values_list("remote_id", "name"))
    parts = [f"joins {', '.join(sorted(names[one] for one in plan.adds))}" if plan.adds else ""]
    parts.append(f"leaves {', '.join(sorted(names[one] for one in plan.removes))}" if plan.removes else "")
    return "; ".join(filter(None, parts)) or "her fields are brought up to date"


def _contact(email: str) -> Contact:
    return Contact.objects.get(email=email)


def _press(act: Callable[[], object]) -> None:
    """Do what a view does when a button was pressed."""
    with transaction.atomic():
        act()


def _come_back(email: str, key: str) -> None:
    wording = f"Yes, please write to me again: {cast.KEYS[key]}."
    _press(lambda: acts.resubscribe(_contact(email), [key], method="button on the member page", wording=wording))


def _sync_now(stage: Stage, email: str) -> None:
    contact = _contact(email)
    _press(lambda: acts.sync_now([contact]))

    def looked() -> bool:
        return _contact(email).synced_at != contact.synced_at

    if not stage.screen.wait_until(looked, "the worker", stage.patience):
        raise StepFailed("a look at Constant Contact", "none")


def _throw_messages_away() -> int:
    """Empty the demo's own queue, whatever the broker is."""
    from example_project.celery import app

    return app.control.purge() or 0


def _expect_one_put(stage: Stage, asked: list[Asked]) -> None:
    writes = _writes(asked)
    stage.expect([one.method for one in writes] == ["PUT"], "one write, a PUT", _counted(writes))
    stage.screen.note("and what the PUT said of lists and of whose act it was:")
    words, lists, act = stage.there.words, stage.there.lists_in(writes[0].body), stage.there.act_in(writes[0].body)
    stage.screen.quote(f"{lists}\n{act}")
    stage.expect(lists == words.no_lists, words.empty, lists)
    stage.expect(words.site_acts in act, words.site_acts, act)


def _writes(asked: list[Asked]) -> list[Asked]:
    return [one for one in asked if one.is_write]


def _counted(asked: list[Asked]) -> str:
    """Count requests by method, like ``2 × GET, 1 × PUT``."""
    methods = sorted({one.method for one in asked})
    return ", ".join(f"{sum(one.method == each for one in asked)} × {each}" for each in methods) or "no request"
