"""A home whose disk is full, from the start or in the middle of the work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from orchestration.build import build
from orchestration.cli import main
from orchestration.defs import run as runs
from orchestration.defs.run import run_outputs
from orchestration.services import prepare_dagster_home
from orchestration.settings import Settings
from orchestration.warehouse.builds import building
from orchestration.warehouse.errors import DatabaseUnavailable, StorageError


@pytest.mark.parametrize("command", ["build", "deliver"])
def test_a_nearly_full_disk_is_refused_before_anything_is_written(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    """Prevents a run that dies half-way in tracebacks of dbt and SQLite."""
    monkeypatch.setattr(runs, "MINIMUM_FREE_BYTES", 2**62)
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert re.fullmatch(
        rf"The disk of {settings.home} has only \d+ MB left; .* set JOURNEY_HOME to .*\n",
        captured.err,
    )
    assert not settings.dagster_home.exists()


def test_a_disk_that_fills_during_a_build_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents the advice to start a server that has no room to start."""

    def lost(*_: object, **__: object) -> None:
        monkeypatch.setattr(Settings, "uses_embedded_database", True)
        monkeypatch.setattr(runs, "MINIMUM_FREE_BYTES", 2**62)
        raise DatabaseUnavailable("The connection was lost.")

    monkeypatch.setattr(runs, "run_job", lost)
    with pytest.raises(StorageError, match=f"The disk of {settings.home} has only"):
        build(settings)


def test_a_build_that_fails_on_a_full_disk_names_it(
    settings: Settings, database: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents `disk I/O error` as the only word about which disk, and what to do."""

    def failed(*_: object, **__: object) -> runs.RunOutcome:
        with building(database, details={"run_id": "full"}) as opened:
            opened.fail("disk I/O error")
        monkeypatch.setattr(runs, "MINIMUM_FREE_BYTES", 2**62)
        return runs.RunOutcome("full", succeeded=False, errors={"": "disk I/O error"})

    monkeypatch.setattr(runs, "run_job", failed)
    first, second = build(settings).errors
    assert first == "disk I/O error"
    assert second.startswith(f"The disk of {settings.home} has only")


def test_a_log_that_cannot_be_written_prints_no_stack_trace(tmp_path: Path) -> None:
    """Prevents a page of stack traces for each line that a full disk refuses."""
    (tmp_path / "full.log").symlink_to("/dev/full")
    program = (
        "import logging, sys; from orchestration import cli;"
        "cli.app = lambda **_: logging.error('a line');"
        "logging.basicConfig(filename=sys.argv[1]); cli.main([])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "full.log")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ended.stderr


def test_records_that_cannot_be_written_are_named(settings: Settings) -> None:
    """Prevents a stack trace of SQLite when the disk fills while a run is under way."""
    (prepare_dagster_home(settings) / "history" / "runs" / "index.db").mkdir(parents=True)
    with pytest.raises(StorageError, match=f"in {settings.dagster_home} cannot be written"):
        run_outputs(settings)
