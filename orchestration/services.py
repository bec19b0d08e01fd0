"""The background programs of `journey up`: the Dagster UI and the daemon of its schedules.

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
from orchestration.warehouse.processes import command_of, end_group
from orchestration.warehouse.storage import locked, make_folder, write_private, writing_to

DEFINITIONS = "orchestration.definitions"
FIRST_PORT, PORT_COUNT = 3_000, 100
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
class Service:
    """A background program, known by its name, and how to run it."""

    name: str
    program: str
    arguments: tuple[str, ...]

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
        return pid if self.program in command_of(pid) else None


WEBSERVER = Service("dagster-webserver", "dagster-webserver", ("--host", HOST))
DAEMON = Service("dagster-daemon", "dagster-daemon", ("run",))
SERVICES = (WEBSERVER, DAEMON)


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
        url = _url(settings) if pid and service is WEBSERVER else None
        found.append(ServiceState(service.name, pid, service.log(settings), url))
    return found


def start(settings: Settings) -> list[str]:
    """Start what does not run yet, and wait until the UI answers; returns notes for people.

    Raises:
        ServiceError: a program ended at once, or the UI does not answer; the message quotes it.
    """
    notes: list[str] = []
    make_folder(settings.home)
    with locked(settings.home / "services.lock", "the Dagster UI"):
        prepare_dagster_home(settings)
        if all(service.running_pid(settings) is None for service in SERVICES):
            _make_tables(settings)
        if WEBSERVER.running_pid(settings) is None:
            notes += _settle_port(settings)
        for service in SERVICES:
            if service.running_pid(settings) is None:
                _launch(service, settings)
        _await_answer(settings)
    return notes


def stop(settings: Settings) -> list[str]:
    """Stop what runs; returns the names of what was stopped.

    Raises:
        ServiceError: a program does not end.
    """
    stopped: list[str] = []
    if not settings.home.is_dir():
        return stopped
    with locked(settings.home / "services.lock", "the Dagster UI"):
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
    port = ("--port", str(_port(settings))) if service is WEBSERVER else ()
    make_folder(settings.logs)
    log_file = service.log(settings)
    with writing_to(settings.logs), log_file.open("ab") as log:
        try:
            process = subprocess.Popen(
                [str(program), *service.arguments, *port, "-m", DEFINITIONS],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_ROOT,
                env=_environment(settings),
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ServiceError(f"{program} is missing. Install it with: make setup") from None
    write_private(service.pid_file(settings), f"{process.pid}\n")


def _await_answer(settings: Settings) -> None:
    deadline = monotonic() + READY_TIMEOUT_SECONDS
    while not _answers(settings):
        for service in SERVICES:
            if service.running_pid(settings) is None:
                raise ServiceError(
                    f"{service.name} ended at once: {_last_words(service.log(settings))} "
                    f"(log: {service.log(settings)})"
                )
        if monotonic() >= deadline:
            raise ServiceError(
                f"The Dagster UI does not answer at {_url(settings)} after "
                f"{READY_TIMEOUT_SECONDS} seconds; see {WEBSERVER.log(settings)}"
            )
        sleep(0.2)


def _answers(settings: Settings) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{_url(settings)}/server_info", timeout=5) as response:
            return "dagster_webserver_version" in json.loads(response.read())
    except (OSError, ValueError, urllib.error.URLError):
        return False


def webserver_url(settings: Settings) -> str:
    """Where the Dagster UI answers once it is started; its port is chosen on the first call."""
    if _port(settings) is None:
        make_folder(settings.dagster_home)
        _settle_port(settings)
    return _url(settings)


def _settle_port(settings: Settings) -> list[str]:
    stored = _port(settings)
    if stored is not None and port_is_free(stored):
        return []
    port = free_port("", FIRST_PORT, PORT_COUNT)
    write_private(_port_file(settings), f"{port}\n")
    if stored is None:
        return []
    return [f"Port {stored} is taken by another program: the Dagster UI moved to port {port}."]


def _port_file(settings: Settings) -> Path:
    return settings.dagster_home / "port"


def _port(settings: Settings) -> int | None:
    try:
        return int(_port_file(settings).read_text())
    except (OSError, ValueError):
        return None


def _url(settings: Settings) -> str:
    return f"http://{HOST}:{_port(settings)}"


def _last_words(log: Path) -> str:
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it wrote nothing"
    return " / ".join(lines[-3:]) or "it wrote nothing"
