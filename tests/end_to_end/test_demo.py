"""The README's first command, run as a newcomer runs it, on a smaller sample."""

from __future__ import annotations

import csv
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.database import engine

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")


def shown_story() -> list[str]:
    """The lines of Mara Lindqvist's story that the README shows."""
    shown = README[README.index("Mara Lindqvist, ") : README.index("As of 2026")]
    return [line for line in shown.splitlines() if line not in ("", "…")]


def run_demo() -> str:
    """Run `make demo` on 120 customers and give what it printed."""
    done = subprocess.run(
        ["make", "--no-print-directory", "demo", "CUSTOMERS=120"],
        cwd=PROJECT_ROOT,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_tells_a_story_and_a_second_run_changes_nothing(
    journey_home: Path, hash_tables: Callable[..., dict[str, tuple[int, str]]]
) -> None:
    """Prevents a first impression that fails or is not the promised one, dirty rows that vanish,
    and builds that drift."""
    first = run_demo()
    settings = Settings(home=journey_home, database_url=None)
    database = engine(settings)
    before = hash_tables(database, ("seeds", "marts", "sync"))
    assert before["marts.customers"][0] > 120
    assert before["sync.sync_klaviyo__winback_events"][0] > 0

    for told in ("Funnel", "customer_activity_timeline"):
        assert told in first
    printed = iter(line.rstrip() for line in first.splitlines())
    assert [line for line in shown_story() if line not in printed] == []
    read, loaded, unchanged, rejected = (
        int(number.replace(",", ""))
        for number in re.search(
            r"([\d,]+) rows read = ([\d,]+) loaded \+ ([\d,]+) unchanged \+ ([\d,]+) rejected",
            first[first.index("files loaded") :],
        ).groups()  # type: ignore[union-attr]
    )
    assert read == loaded + unchanged + rejected
    manifest = journey_home / "landing.manifest" / "dirty_rows.csv"
    with manifest.open(encoding="utf-8", newline="") as lines:
        planted = {(row["file"], int(row["line"])) for row in csv.DictReader(lines)}
    with database.connect() as connection:
        found = connection.exec_driver_sql("select file, line from raw.rejected_rows").all()
    assert {(file, line) for file, line in found} == planted
    assert rejected == len(planted)

    with database.begin() as connection:
        # the second build would carry them out, and that is a change
        connection.exec_driver_sql("delete from raw.erasure_requests")
    second = run_demo()
    assert hash_tables(database, ("seeds", "marts", "sync")) == before
    assert re.search(r"\b0 files loaded", second)
    database.dispose()


@pytest.mark.parametrize("command", ["demo", "test", "setup", "test-fast", "test-long", "lint"])
def test_every_documented_target_exists(command: str) -> None:
    """Prevents a README that names a command the Makefile does not have."""
    subprocess.run(["make", "-n", command], cwd=PROJECT_ROOT, check=True, capture_output=True)
