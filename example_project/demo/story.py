"""The story, step by step. The process that runs it is the site: it saves members, and a worker does the rest.

Each step says what happens in the site, waits until Constant Contact has it, reads it back, and checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import transaction

from django_ctct import acts
from django_ctct.models import Contact, SyncState

from . import cast
from .cast import ADA, BOARD, EDDA, FREE, MAREN, NEWSLETTER, SUSTAINERS, TOM
from .constant_contact import Asked, pretty
from .stage import Stage, StepFailed

__all__ = ["STEPS", "Step"]

#: A step: its title, and what it does. It returns what is said beside the tick.
Step = tuple[str, Callable[[Stage], str]]


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
    stage.tell(
        "Tom presses “unsubscribe” on the site. It is his last list. He is taken off it, without being opted out: "
        "a PUT with an empty <ContactLists>, by the site's own act."
    )
    before = stage.there.count_asked()
    _press(lambda: acts.leave_list(TOM.email, "free"))
    stage.expect_there(TOM, "Removed", ())
    asked = stage.asked(before, show=True)
    _expect_one_put(stage, asked)
    stage.expect_state(TOM, SyncState.REFUSED)
    return "one PUT, ACTION_BY_CUSTOMER; Tom is Removed, not Do Not Mail, and no rule puts him back"


def he_comes_back(stage: Stage) -> str:
    stage.tell("Next week Tom presses “write to me again”. Who is Removed may be added back.")
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
    return f"{_counted(asked)}: no write; still Do Not Mail; the admin shows her as “{SyncState.REFUSED.label}”"


def only_she_herself(stage: Stage) -> str:
    stage.tell(
        "Only Edda herself can undo that. She ticks “yes, write to me again: Sustainers” on the site; the site keeps "
        "her words as a consent, and that one write says ACTION_BY_CONTACT."
    )
    before = stage.there.count_asked()
    _come_back(EDDA.email, "sustainers")
    stage.expect_there(EDDA, "Active", {SUSTAINERS})
    writes = _writes(stage.asked(before))
    source = [one for one in writes if "ACTION_BY_CONTACT" in one.body]
    stage.expect(len(writes) == len(source) == 1, "one write, by her own act", _counted(writes))
    return "one PUT, ACTION_BY_CONTACT; Edda is on Sustainers"


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


STEPS: Sequence[Step] = (
    ("The site meets the account", first_meeting),
    ("A new Free member", a_free_member_joins),
    ("Free → Sustainer", a_member_upgrades),
    ("A change that changes nothing", nothing_different),
    ("The unsubscribe button, on the last list", the_last_list),
    ("He comes back", he_comes_back),
    ("An opt-out, and a rule that would add her again", an_opt_out_stands),
    ("Only she herself", only_she_herself),
    ("The worker dies", nothing_is_lost),
    ("The stranger", strangers_are_left_alone),
)


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
    stage.screen.quote(f"{pretty(writes[0].body)}\n{_source(writes[0].body)}")
    stage.expect(pretty(writes[0].body) == "<ContactLists />", "an empty <ContactLists>", pretty(writes[0].body))
    stage.expect("ACTION_BY_CUSTOMER" in _source(writes[0].body), "ACTION_BY_CUSTOMER", _source(writes[0].body))


def _source(body: str) -> str:
    start, end = body.find("<OptInSource>"), body.find("</OptInSource>")
    return f"{body[start:end]}</OptInSource>" if 0 <= start < end else "(no <OptInSource>)"


def _writes(asked: list[Asked]) -> list[Asked]:
    return [one for one in asked if one.is_write]


def _counted(asked: list[Asked]) -> str:
    """Count requests by method, like ``2 × GET, 1 × PUT``."""
    methods = sorted({one.method for one in asked})
    return ", ".join(f"{sum(one.method == each for one in asked)} × {each}" for each in methods) or "no request"
