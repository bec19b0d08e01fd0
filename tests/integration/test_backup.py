"""A backup, and the warehouse that is made from it elsewhere."""

from __future__ import annotations

import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from orchestration.activation.gate import GateClosed, require_success
from orchestration.settings import Settings
from orchestration.transform import transform
from orchestration.warehouse.backup import BackupError, backup, restore
from orchestration.warehouse.builds import parse_as_of
from orchestration.warehouse.database import engine
from tests.conftest import SAMPLE_AS_OF

HashTables = Callable[..., dict[str, tuple[int, str]]]
SCHEMAS = ("raw", "ops", "outbox", "access", "marts", "sync")


def test_marts_are_the_same_when_they_are_derived_from_a_backup(
    built: Settings,
    fresh_databases: Callable[[], AbstractContextManager[str]],
    hash_tables: HashTables,
    tmp_path: Path,
) -> None:
    """Prevents: a warehouse that is lost with its server, customers who get other ids after a
    restore, and messages that leave before the marts are there again."""
    file = tmp_path / "copies" / "warehouse.dump"
    report = backup(built, file)
    assert report.bytes == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(BackupError, match="exists already"):
        backup(built, file)
    with pytest.raises(BackupError, match="restored into an empty one"):
        restore(built, file)

    original = engine(built)
    before = hash_tables(original, SCHEMAS)
    original.dispose()
    with fresh_databases() as database_url:
        elsewhere = Settings(
            home=tmp_path / "elsewhere",
            database_url=database_url,
            landing=str(tmp_path / "elsewhere" / "landing"),
        )
        database = engine(elsewhere)
        assert restore(elsewhere, file).loads > 0
        with database.connect() as connection, pytest.raises(GateClosed, match="backup"):
            require_success(connection)
        # rows that are those of before were tested before
        nodes = ["resource_type:seed", "resource_type:model"]
        derived = transform(
            elsewhere, parse_as_of(SAMPLE_AS_OF), select=nodes, with_tests_of_selected=False
        )
        derived.require_success()
        after = hash_tables(database, SCHEMAS)
        database.dispose()
    # the restored warehouse knows that it was restored
    assert {table for table in before if before[table] != after[table]} == {"ops.builds"}


def test_a_file_that_is_no_backup_leaves_the_warehouse_as_it_was(
    settings: Settings, tmp_path: Path
) -> None:
    """Prevents: an empty warehouse without its tables after the wrong file was named."""
    file = tmp_path / "notes.txt"
    with pytest.raises(BackupError, match="There is no file"):
        restore(settings, file)
    file.write_text("nothing to see")
    with pytest.raises(BackupError, match="pg_restore failed"):
        restore(settings, file)
    database = engine(settings)
    with database.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from ops.builds").scalar_one() == 0
    database.dispose()
