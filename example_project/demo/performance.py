"""The whole performance: lay the scene, tell the story, open the site, and stop everything at the end."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO

import requests
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from django_ctct import catalogue
from django_ctct.services import connect
from example_project.members.models import Member

from . import cast
from .atom_reader import AtomReader
from .constant_contact import Reader
from .ground import Ground
from .json_reader import JsonReader
from .processes import Processes
from .stage import Stage, StepFailed
from .story import CONNECT, steps
from .terminal import Screen

__all__ = ["Performance", "Wishes"]

WORKER, SANDBOX, SITE = "worker", "sandbox", "site"
#: How long a process may take to be ready (seconds). Python has much to import on a small machine.
START = 40.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for. ``patience`` is the longest wait for one step, in seconds."""

    once: bool = False
    fresh: bool = False
    patience: float = 20.0
    switches: tuple[str, ...] = ()


class Performance:
    """Play the demo once on its ground."""

    def __init__(self, ground: Ground, wishes: Wishes, screen: Screen) -> None:
        self._ground = ground
        self._wishes = wishes
        self._screen = screen
        self._start = time.monotonic()
        self._password = secrets.token_urlsafe(9)
        self._processes = Processes(ground.logs, folder=settings.BASE_DIR)
        self._steps = steps(settings.DEMO_API)
        self._there = _reader(ground.sandbox_url)

    def play(self) -> int:
        """Return the exit status: 0 when every step came out as told."""
        with self._processes:
            try:
                self._lay_the_scene()
                self._tell_the_story()
                self._open_the_site()
                return 0 if self._wishes.once else self._serve()
            except StepFailed as failed:
                self._show_failure(failed)
                return 1
            except Exception:
                self._show_logs()
                raise
            finally:
                self._screen.note("Stopping every process …")

    # The scene

    def _lay_the_scene(self) -> None:
        self._screen.title("Heron Radio and its Constant Contact account, both on this machine")
        self._start = time.monotonic()
        self._prepare_database()
        self._start_sandbox()
        if CONNECT in self._steps:
            self._start_site()  # lists and members come when the account is connected
            ready = "database, sandbox and site are ready"
        else:
            self._settle()
            ready = "database, sandbox, lists and worker are ready"
        self._show_scene()
        self._screen.good(ready, self._passed())

    def _show_scene(self) -> None:
        self._screen.pairs(
            [
                ("API", settings.DEMO_API),
                ("database", settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]),
                ("broker", settings.CELERY_BROKER_URL.partition("://")[0]),
                ("sandbox", self._ground.sandbox_url),
                ("directory", str(self._ground.directory)),
            ]
        )

    def _prepare_database(self) -> None:
        call_command("check", stdout=StringIO())
        call_command("migrate", verbosity=0, interactive=False)
        users = get_user_model()._default_manager
        if Member.objects.exists() or users.exists():
            # Somebody may have named a database of their own.
            if not self._wishes.fresh:
                raise StepFailed("an empty database (or --fresh, which empties it)", "members or users in it")
            call_command("flush", verbosity=0, interactive=False)
        users.create_superuser("admin", "admin@example.com", self._password)

    def _start_sandbox(self) -> None:
        command = [sys.executable, "-m", "django_ctct.sandbox", "--port", str(self._ground.sandbox_port)]
        for name in cast.LISTS:
            command += ["--list", name]
        for person in cast.CAST:
            if person.held:
                command += ["--contact", f"{person.email}:{','.join(person.held)}"]
        command += ["--contact", f"{cast.STRANGER}:{cast.NEWSLETTER}"]
        for switch in self._wishes.switches:
            command += ["--switch", switch]
        self._run(SANDBOX, command)
        self._await(SANDBOX, "the sandbox", self._there.is_up)

    def _bind_lists(self) -> None:
        with connect("default") as link:
            found = {row.name: row for row in catalogue.read_lists(link)}
            for key, name in cast.KEYS.items():
                catalogue.bind_list(link.account, key, found[name].remote_id)

    def _settle(self) -> None:
        """Do what can be done once the account can be spoken to."""
        self._bind_lists()
        for person in cast.CAST:
            person.join()
        self._start_worker()

    # Processes

    def _run(self, name: str, command: list[str]) -> None:
        # The story hints inline, the site and the worker as a site does: from a thread of their own.
        environment = self._ground.environment() | {"CTCT_DEMO_KICK": "thread"}
        self._processes.start(name, command, environment)

    def _await(self, name: str, what: str, ready: Callable[[], bool]) -> None:
        def settled() -> bool:
            return not self._processes.is_alive(name) or ready()

        self._screen.wait_until(settled, what, START)
        if not self._processes.is_alive(name) or not ready():
            raise StepFailed(f"{what}, ready within {START:.0f} s", "none")

    def _start_worker(self) -> None:
        """Start one worker with beat inside. Beat keeps its times in memory: a killed one leaves no broken file."""
        seen = self._processes.output(WORKER).count(" ready.")
        command = [sys.executable, "-m", "celery", "-A", "example_project", "worker", "--concurrency", "1"]
        command += ["--beat", "--scheduler", "celery.beat:Scheduler", "--loglevel", "INFO"]
        command += ["--hostname", "demo@%h", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        self._run(WORKER, command)
        self._await(WORKER, "a worker", lambda: self._processes.output(WORKER).count(" ready.") > seen)

    # The story

    def _tell_the_story(self) -> None:
        stage = Stage(
            screen=self._screen,
            there=self._there,
            patience=self._wishes.patience,
            site_url=self._ground.site_url,
            password=self._password,
            settle=self._settle,
            logged=self._processes.everything_logged,
            start_worker=self._start_worker,
            kill_worker=lambda: self._processes.kill(WORKER),
            worker_is_alive=lambda: self._processes.is_alive(WORKER),
        )
        for number, (title, step) in enumerate(self._steps, start=1):
            self._screen.step(number, title)
            self._start = time.monotonic()
            self._screen.good(step(stage), self._passed())

    def _passed(self) -> float:
        return time.monotonic() - self._start

    def _show_failure(self, failed: StepFailed) -> None:
        self._screen.bad(f"expected {failed.expected}", self._passed())
        self._screen.tell(f"  found {failed.actual}")
        if self._there.is_up():
            self._screen.title("What the package asked last")
            self._screen.quote("\n".join(str(one) for one in self._there.asked()[-6:]))
        self._show_logs()

    def _show_logs(self) -> None:
        for name, lines in self._processes.tails():
            self._screen.title(f"The end of the log of the {name}")
            self._screen.quote("\n".join(lines))

    # The site

    def _start_site(self) -> None:
        command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{self._ground.site_port}"]
        self._run(SITE, command)
        self._await(SITE, "the site", lambda: _answers(self._ground.site_url))

    def _open_the_site(self) -> None:
        self._screen.step(len(self._steps) + 1, "The site, its admin and the sandbox's page are open")
        self._start = time.monotonic()
        if not self._processes.is_alive(SITE):
            self._start_site()
        for url in (self._ground.site_url, f"{self._ground.site_url}/admin/login/", f"{self._ground.sandbox_url}/"):
            if not _answers(url):
                raise StepFailed(f"a page at {url}", "none")
        self._screen.good("each answers", self._passed())

    def _serve(self) -> int:
        self._screen.title("Now it is yours. Ctrl-C stops everything.")
        self._screen.pairs(
            [
                ("the site", self._ground.site_url),
                ("its admin", f"{self._ground.site_url}/admin/  (admin / {self._password})"),
                ("Constant Contact", f"{self._ground.sandbox_url}  (the sandbox: act as a contact there)"),
                ("logs", str(self._ground.logs)),
            ]
        )
        while not (dead := self._processes.dead()):
            time.sleep(0.5)
        self._show_failure(StepFailed("running processes", f"an end of: {', '.join(dead)}"))
        return 1


def _reader(url: str) -> Reader:
    """Return who reads the account over the API that the demo is played over."""
    if settings.DEMO_API == "v3":
        return JsonReader(url)
    options = settings.CTCT["ACCOUNTS"]["default"]["OPTIONS"]
    return AtomReader(url, options["username"], options["api_key"], options["password"])


def _answers(url: str) -> bool:
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=5).ok
    except requests.RequestException:
        return False
