"""A seed that cannot be used stops a build before anything changes, and says which line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from orchestration.activation.deliver import deliver
from orchestration.activation.gate import GateClosed
from orchestration.cli import main
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT, Settings
from orchestration.transform import DBT_FOLDERS
from orchestration.warehouse.builds import Build, latest_build
from orchestration.warehouse.database import engine

HashTables = Callable[..., dict[str, tuple[int, str]]]


@pytest.fixture(scope="module")
def copied_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the dbt project with its seeds, which is the one that is built."""
    root = tmp_path_factory.mktemp("bad_seeds") / "project"
    folders = [root / folder.relative_to(PROJECT_ROOT) for folder in DBT_FOLDERS]
    for folder, copy in zip(DBT_FOLDERS, folders, strict=True):
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("target"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("orchestration.transform.DBT_FOLDERS", tuple(folders))
        monkeypatch.setattr(
            "orchestration.transform.DBT_PROJECT_DIR",
            root / DBT_PROJECT_DIR.relative_to(PROJECT_ROOT),
        )
        for module in ("transform", "ingest.load", "doctor"):
            monkeypatch.setattr(f"orchestration.{module}.SEEDS_DIR", root / "seeds")
        yield root


@pytest.fixture
def seeds(copied_project: Path) -> Iterator[Path]:
    """The folder of the seeds, to spoil until the test ends."""
    folder = copied_project / "seeds"
    before = {seed: seed.read_bytes() for seed in folder.iterdir()}
    yield folder
    for seed, content in before.items():
        seed.write_bytes(content)


@pytest.fixture
def built_database(built_once: Settings) -> Iterator[sqlalchemy.Engine]:
    made = engine(built_once)
    yield made
    made.dispose()


def failed_build(database: sqlalchemy.Engine, capsys: pytest.CaptureFixture[str]) -> Build:
    """Build as people do; what they were told is what the build's record says."""
    with pytest.raises(SystemExit) as ended:
        main(["build", "--as-of", "2026-08-01T00:00:00Z"])
    assert ended.value.code == 1
    with database.connect() as connection:
        latest = latest_build(connection)
    assert latest is not None
    assert (latest.verdict, latest.scope) == ("failed", "none")
    told = capsys.readouterr().err
    assert latest.error is not None
    for line in latest.error.splitlines()[1:]:
        assert line in told
    return latest


def test_no_table_changes_and_the_lines_are_told(
    built_once: Settings,
    built_database: sqlalchemy.Engine,
    seeds: Path,
    hash_tables: HashTables,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents marts of which some follow the new numbers and others the old, messages that rest
    on them, and a search for the line that is wrong."""
    before = hash_tables(built_database)
    thresholds = seeds / "rfm_thresholds.csv"
    thresholds.write_text(thresholds.read_text().replace("*,recency,4,31,61", "*,recency,4,33,61"))
    with (seeds / "identity_rules.csv").open("a") as file:
        for rule, one, other in (("always", "a", "b"), ("always", "b", "c"), ("never", "a", "c")):
            file.write(f"aurora,{rule},email,{one}@example.com,email,{other}@example.com,asked\n")
    error = failed_build(built_database, capsys).error
    assert error is not None
    assert error.splitlines() == [
        "transform: The seeds cannot be used, so no model is built.",
        "seeds/identity_rules.csv line 4: never ties email 'a@example.com' and email "
        "'c@example.com', but lines 2, 3 always tie them; delete one of these lines",
        "seeds/rfm_thresholds.csv line 3: recency: nothing covers 31 to below 33, between line 2 "
        "and this one; let it start at 31",
    ]
    assert hash_tables(built_database) == before
    with pytest.raises(GateClosed, match=r"seeds/rfm_thresholds\.csv line 3"):
        deliver(built_once)


def test_a_seed_that_is_no_text_is_a_failed_build_too(
    built_once: Settings,
    built_database: sqlalchemy.Engine,
    seeds: Path,
    hash_tables: HashTables,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents a failure that only dbt's parser sees: no line, no record, an open gate."""
    before = hash_tables(built_database)
    (seeds / "collections.csv").write_bytes(
        b"tenant_id,collection,collection_order\n*,grounding,1\n*,gr\xfcn,2\n"
    )
    error = failed_build(built_database, capsys).error
    assert error is not None
    assert error.splitlines()[1:] == [
        "seeds/collections.csv line 3: is not UTF-8; save the file as CSV in the encoding UTF-8"
    ]
    assert hash_tables(built_database) == before
    with pytest.raises(GateClosed, match="is not UTF-8"):
        deliver(built_once)


def test_an_unknown_time_zone_stops_the_load_as_well(
    built_database: sqlalchemy.Engine,
    seeds: Path,
    hash_tables: HashTables,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents files of a tenant from being read in a zone or region that nobody knows."""
    before = hash_tables(built_database)
    tenants = seeds / "tenants.csv"
    tenants.write_text(tenants.read_text().replace("Africa/Accra", "Africa/Akkra"))
    error = failed_build(built_database, capsys).error
    assert error == (
        f"load: {tenants} line 4: time_zone 'Africa/Akkra' is unknown; write it like Europe/Berlin"
    )
    assert hash_tables(built_database) == before
