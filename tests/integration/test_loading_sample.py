"""The generated sample through the loader: exactly the rows known to be dirty are rejected."""

from __future__ import annotations

import csv
from pathlib import Path

import sqlalchemy

from orchestration.ingest.load import load_landing
from orchestration.sample.generate import generate
from orchestration.settings import Settings


def test_exactly_the_dirty_rows_are_rejected_for_exactly_their_faults(
    database: sqlalchemy.Engine, settings: Settings, tmp_path: Path
) -> None:
    """Prevents a contract that is too lax, or so strict that good rows are lost."""
    sample = generate(tmp_path / "landing", customers=150, seed=11)
    settings.landing = str(sample.directory)
    report = load_landing(database, settings)
    assert report.is_clean
    assert sum(result.rows_read for result in report.files) == sum(sample.rows.values())
    with (sample.manifest / "dirty_rows.csv").open(newline="") as opened:
        known = {
            (row["file"], int(row["line"]), row["reason_column"]) for row in csv.DictReader(opened)
        }
    with database.connect() as connection:
        rejected = connection.exec_driver_sql("select file, line, reasons from raw.rejected_rows")
        found = {
            (file, line, reason.partition(":")[0] if ": " in reason else "")
            for file, line, reasons in rejected
            for reason in reasons
        }
    assert found == known
    again = load_landing(database, settings)
    assert {result.status for result in again.files} == {"already_loaded"}
