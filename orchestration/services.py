"""The background programs of `journey up`: the Dagster UI, its daemon, and the dashboard.

They outlive the command that starts them; a pid file in the home tells the next command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.errors import ServiceError
from orchestration.warehouse.postgres import HOST, free_port, port_is_free
from orchestration.warehouse.processes import await_command, command_of, end_group
from orchestration.warehouse.storage import locked, make_folder, write_private, writing_to

DEFINITIONS = "orchestration.definitions"
PORT_COUNT = 100
READY_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 30
INSTANCE_CONFIGURATION = """\
# Read by the Dagster UI, its daemon and every run; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
event_log_storage:
  module: orchestration.defs.event_log
  class: EventLog
  config:
    base_dir: {history}
"""


@dataclass(frozen=True)
class ServiceState:
    """One background program: whether it runs, as which process, and where to look."""

    name: str
    pid: int | None
    log: Path
    url: str | None = None


@dataclass(frozen=True)
class Page:
    """Where a program answers: its first choice of a port, and what it says at an address."""

    first_port: int
    port_file: str
    address: str
    words: str


@dataclass(frozen=True)
class Service:
    """A background program, known by its name and by a mark in its command line.

    `program` stands beside our Python. Among its arguments, `{port}` is the port that was settled
    and `{definitions}` the module of DEFINITIONS.
    """

    name: str
    mark: str
    program: str
    arguments: tuple[str, ...]
    page: Page | None = None

    def pid_file(self, settings: Settings) -> Path:
        """Where its process number is noted."""
        return settings.home / f"{self.name}.pid"

    def log(self, settings: Settings) -> Path:
        """Where it writes."""
        return settings.logs / f"{self.name}.log"

    def running_pid(self, settings: Settings) -> int | None:
        """Its process, unless that is gone or its number belongs to another program by now."""
        try:
            pid = int(self.pid_file(settings).read_text())
        except (OSError, ValueError):
            return None
        return pid if self.mark in command_of(pid) else None

    def port(self, settings: Settings) -> int | None:
        """The port that was settled for its page."""
        if self.page is None:
            return None
        try:
            return int((settings.home / self.page.port_file).read_text())
        except (OSError, ValueError):
            return None

    def url(self, settings: Settings) -> str | None:
        """Where it answers, once its port is settled; None for one that has no page."""
        port = self.port(settings)
        return f"http://{HOST}:{port}" if port else None


WEBSERVER = Service(
    "dagster-webserver",
    "dagster-webserver",
    "dagster-webserver",
    ("--host", HOST, "--port", "{port}", "-m", "{definitions}"),
    Page(3_000, "dagster/port", "/server_info", "dagster_webserver_version"),
)
DAEMON = Service(
    "dagster-daemon", "dagster-daemon", "dagster-daemon", ("run", "-m", "{definitions}")
)
DASHBOARD = Service(
    "journey-dashboard",
    "orchestration.dashboard",
    "python",
    ("-m", "orchestration.dashboard", "{port}"),
    Page(8_600, "dashboard.port", "/login", "<title>Log in · journey</title>"),
)
SERVICES = (WEBSERVER, DAEMON, DASHBOARD)


def prepare_dagster_home(settings: Settings) -> Path:
    """Make the folder where Dagster keeps its state, with its configuration; returns it."""
    make_folder(settings.dagster_home)
    configuration = settings.dagster_home / "dagster.yaml"
    if not configuration.exists():
        history = json.dumps(str(settings.dagster_home / "history" / "runs"))
        write_private(configuration, INSTANCE_CONFIGURATION.format(history=history))
    return settings.dagster_home


def states(settings: Settings) -> list[ServiceState]:
    """What each background program is doing."""
    found = []
    for service in SERVICES:
        pid = service.running_pid(settings)
        url = service.url(settings) if pid else None
        found.append(ServiceState(service.name, pid, service.log(settings), url))
    return found


def start(settings: Settings) -> list[str]:
    """Start what does not run yet, and wait until it answers; returns notes for people.

    Raises:
        ServiceError: a program ended at once, or does not answer; the message quotes it.
    """
    notes: list[str] = []
    make_folder(settings.home)
    with locked(settings.home / "services.lock", "the background programs"):
        prepare_dagster_home(settings)
        if all(service.running_pid(settings) is None for service in (WEBSERVER, DAEMON)):
            _make_tables(settings)
        for service in SERVICES:
            if service.running_pid(settings) is None:
                notes += settle_port(service, settings)
                _launch(service, settings)
        for service in SERVICES:
            _await_answer(service, settings)
    return notes


def stop(settings: Settings) -> list[str]:
    """Stop what runs; returns the names of what was stopped.

    Raises:
        ServiceError: a program does not end.
    """
    stopped: list[str] = []
    if not settings.home.is_dir():
        return stopped
    with locked(settings.home / "services.lock", "the background programs"):
        for service in SERVICES:
            pid = service.running_pid(settings)
            if pid is not None:
                end_group(pid, STOP_TIMEOUT_SECONDS)
                if command_of(pid):
                    raise ServiceError(f"{service.name} (process {pid}) does not end.")
                stopped.append(service.name)
            service.pid_file(settings).unlink(missing_ok=True)
    return stopped


def _make_tables(settings: Settings) -> None:
    """Make Dagster's own tables: its two programs, started together, would both try to."""
    result = subprocess.run(
        [str(Path(sys.executable).with_name("dagster")), "instance", "migrate"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env=_environment(settings),
        check=False,
    )
    if result.returncode != 0:
        words = " / ".join(result.stderr.strip().splitlines()[-3:])
        raise ServiceError(f"Dagster cannot keep its state in {settings.dagster_home}: {words}")


def _environment(settings: Settings) -> dict[str, str]:
    return os.environ | {
        "DAGSTER_HOME": str(settings.dagster_home),
        "JOURNEY_HOME": str(settings.home),
        "PYTHONUNBUFFERED": "1",
    }


def _launch(service: Service, settings: Settings) -> None:
    program = Path(sys.executable).with_name(service.program)
    words = {"port": service.port(settings), "definitions": DEFINITIONS}
    arguments = [argument.format(**words) for argument in service.arguments]
    make_folder(settings.logs)
    log_file = service.log(settings)
    with writing_to(settings.logs), log_file.open("ab") as log:
        try:
            process = subprocess.Popen(
                [str(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_ROOT,
                env=_environment(settings),
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ServiceError(f"{program} is missing. Install it with: make setup") from None
    await_command(process)
    write_private(service.pid_file(settings), f"{process.pid}\n")


def _await_answer(service: Service, settings: Settings) -> None:
    deadline = monotonic() + READY_TIMEOUT_SECONDS
    while not _answers(service, settings):
        for started in SERVICES:
            if started.running_pid(settings) is None:
                raise ServiceError(
                    f"{started.name} ended at once: {_last_words(started.log(settings))} "
                    f"(log: {started.log(settings)})"
                )
        if monotonic() >= deadline:
            raise ServiceError(
                f"{service.name} does not answer at {service.url(settings)} after "
                f"{READY_TIMEOUT_SECONDS} seconds; see {service.log(settings)}"
            )
        sleep(0.2)


def _answers(service: Service, settings: Settings) -> bool:
    if service.page is None:
        return True
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{service.url(settings)}{service.page.address}", timeout=5) as response:
            return service.page.words in response.read().decode("utf-8", "replace")
    except (OSError, urllib.error.URLError):
        return False


def address(service: Service, settings: Settings) -> str:
    """Where a program answers once it is started; its port is chosen on the first call."""
    if service.url(settings) is None:
        settle_port(service, settings)
    return str(service.url(settings))


def settle_port(service: Service, settings: Settings) -> list[str]:
    """Choose the port of a program that is about to start; returns a note when it had to move."""
    if service.page is None:
        return []
    stored = service.port(settings)
    if stored is not None and port_is_free(stored):
        return []
    port = free_port("", service.page.first_port, PORT_COUNT)
    file = settings.home / service.page.port_file
    make_folder(file.parent)
    write_private(file, f"{port}\n")
    if stored is None:
        return []
    return [f"Port {stored} is taken by another program: {service.name} moved to port {port}."]


def _last_words(log: Path) -> str:
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it wrote nothing"
    return " / ".join(lines[-3:]) or "it wrote nothing"
