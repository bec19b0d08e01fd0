"""Checks of the set-up, each with the way to mend what it finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR, Settings
from orchestration.warehouse.errors import JourneyError
from orchestration.warehouse.postgres import EmbeddedServer, binaries, port_is_free

OLDEST_PYTHON, TOO_NEW_PYTHON = (3, 11), (3, 14)
COMFORTABLE_FREE_BYTES = 2 * 1024**3
PARSE_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is well, what was found, and how to mend it."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


class Problem(Exception):
    """What a check found to be wrong, and the way to mend it."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


def examine(settings: Settings) -> Iterator[Check]:
    """Run every check; one that fails keeps none of the others from running."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("python", _python),
        ("environment", _environment),
        ("home", _home),
        ("disk", _disk),
    ]
    if settings.uses_embedded_database:
        checks += [("postgres binaries", _binaries), ("port", _port)]
    checks += [
        ("database", _database),
        ("seeds", _seeds),
        ("landing zone", _landing),
        ("dbt project", _dbt_project),
    ]
    for name, look in checks:
        try:
            yield Check(name, True, look(settings))
        except Problem as problem:
            yield Check(name, False, problem.found, problem.remedy)
        except JourneyError as error:
            yield Check(name, False, str(error))


def _python(_: Settings) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not OLDEST_PYTHON <= sys.version_info[:2] < TOO_NEW_PYTHON:
        raise Problem(
            f"Python {version}, but 3.11, 3.12 or 3.13 is needed",
            "remove .venv, then: make setup PYTHON=python3.11",
        )
    return f"{version} ({sys.executable})"


def _environment(_: Settings) -> str:
    try:
        version = metadata.version("journey-warehouse")
    except metadata.PackageNotFoundError:
        raise Problem("the package journey-warehouse is not installed", "make setup") from None
    missing = [
        name
        for name in ("dbt", "dagster-webserver", "dagster-daemon")
        if not Path(sys.executable).with_name(name).exists()
    ]
    if missing:
        raise Problem(f"{', '.join(missing)} not in {Path(sys.executable).parent}", "make setup")
    return f"journey-warehouse {version} in {sys.prefix}"


def _home(settings: Settings) -> str:
    folder = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Problem(
            f"{folder} cannot be written: {error.strerror}",
            "change its owner, or set JOURNEY_HOME to another folder",
        ) from None
    return str(settings.home) if folder == settings.home else f"{settings.home} (made by: up)"


def _disk(settings: Settings) -> str:
    folder = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    if free < COMFORTABLE_FREE_BYTES:
        raise Problem(
            f"only {free / 1024**3:.1f} GB free on the disk of {folder}",
            "free some space there, or set JOURNEY_HOME to a folder on another disk",
        )
    return f"{free / 1024**3:.0f} GB free"


def _binaries(_: Settings) -> str:
    program = binaries() / "postgres"
    try:
        asked = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Problem(
            f"{program} does not run: {error}", "remove .venv, then: make setup"
        ) from None
    return asked.stdout.strip()


def _port(settings: Settings) -> str:
    state = EmbeddedServer(settings).state()
    if state.port is None:
        return "chosen by the first: journey up"
    if state.status == "running":
        return f"{state.port}, ours"
    if not port_is_free(state.port):
        raise Problem(
            f"{state.port} is taken by another program",
            "end that program to keep the port, or let the database move: journey up",
        )
    return f"{state.port}, free"


def _database(settings: Settings) -> str:
    from orchestration.warehouse.database import check_version, engine, is_migrated

    database = engine(settings)
    try:
        version = check_version(database)
        if not is_migrated(database):
            raise Problem(f"PostgreSQL {version} without the newest tables", "journey up")
        with database.connect() as connection:
            faults = [
                f"{thing} {fault}"
                for thing, fault in connection.exec_driver_sql("select * from access.faults()")
            ]
    finally:
        database.dispose()
    if faults:
        raise Problem(
            "readers could see more than they may: " + "; ".join(sorted(faults)),
            "journey build, which protects marts; take other rights away by hand",
        )
    return f"PostgreSQL {version} at {database.url.host}:{database.url.port or 5432}, migrated"


def _seeds(_: Settings) -> str:
    from orchestration.quality.boundaries import check_rules
    from orchestration.seeds.check import check_seeds

    rows = check_seeds(SEEDS_DIR)
    check_rules()
    return f"{len(rows)} files with {sum(rows.values())} rows, {rows['tenants']} of them tenants"


def _landing(settings: Settings) -> str:
    from orchestration.ingest.landing import Landing

    if settings.landing == str(settings.home / "landing") and not Path(settings.landing).exists():
        return f"{settings.landing} (made by: up)"
    Landing(settings.landing)
    return settings.landing


def _dbt_project(settings: Settings) -> str:
    """Parse as a build would, but into a folder of its own, so that no running build notices."""
    try:
        connection = settings.dbt_environment()
    except JourneyError:
        nowhere = "JOURNEY_PG_HOST JOURNEY_PG_USER JOURNEY_PG_PASSWORD JOURNEY_PG_DBNAME"
        connection = dict.fromkeys(nowhere.split(), "none") | {"JOURNEY_PG_PORT": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command: list[str | Path] = [
            *(Path(sys.executable).with_name("dbt"), "--quiet", "--no-use-colors", "parse"),
            *("--project-dir", DBT_PROJECT_DIR, "--profiles-dir", DBT_PROJECT_DIR),
            *("--target-path", folder, "--log-path", folder),
        ]
        try:
            parsed = subprocess.run(
                command,
                env=os.environ | connection | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
                cwd=DBT_PROJECT_DIR,
                capture_output=True,
                text=True,
                timeout=PARSE_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Problem(f"dbt does not run: {error}", "make setup") from None
    if parsed.returncode != 0:
        words = " ".join((parsed.stdout or parsed.stderr).split())
        raise Problem(f"dbt cannot read it: {words[-400:]}", "mend the file it names")
    return f"{DBT_PROJECT_DIR} can be parsed"
