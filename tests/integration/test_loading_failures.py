"""What a load refuses, how it says so, and that a broken load leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy

from orchestration.ingest.contracts import Column, Contract
from orchestration.ingest.errors import LandingError, LoadBusy
from orchestration.ingest.load import LOAD_LOCK, LoadReport, Progress, load_landing
from orchestration.ingest.tenants import Tenant
from orchestration.settings import Settings
from orchestration.warehouse.errors import DatabaseUnavailable

CONTRACTS = {
    "things": Contract(
        "things",
        "",
        (Column("id", "text", required=True), Column("amount", "numeric")),
        key=("id",),
    )
}
TENANTS = {"acme": Tenant("acme", "Acme", "Europe/Berlin", "EUR", "DE")}
HEADER = b"id,amount\n"


def put(settings: Settings, path: str, content: bytes) -> Path:
    file = Path(settings.landing, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def load(database: sqlalchemy.Engine, settings: Settings, **options: Any) -> LoadReport:
    return load_landing(database, settings, contracts=CONTRACTS, tenants=TENANTS, **options)


def query(database: sqlalchemy.Engine, statement: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def parquet(**columns: list[Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


REFUSED = {
    "utf16.csv": ("id,amount\n1,1\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
    "utf32.csv": ("id,amount\n1,1\n".encode("utf-32"), "UTF-32; save it as UTF-8"),
    "semicolons.csv": (b"id;amount\n1;1\n", "is separated by ';': export it with commas"),
    "latin1.csv": (HEADER + b"caf\xe9,1\n", "line 2, byte 4: byte 0xe9 is not UTF-8"),
    "missing.csv": (b"key,amount\n1,1\n", "required column id is missing; the header has 'key"),
    "twice.csv": (b"id,id\n1,1\n", "column id appears twice"),
    "quote.csv": (HEADER + b'1,1\n"2,2\n', "line 3: a quote that opens in this record never"),
    "long.csv": (HEADER + b'1,"' + b"x" * 17_000_000, "line 2: a record longer than"),
    "long.jsonl": (b'{"id": "' + b"x" * 17_000_000, "line 1: a record longer than"),
    "bomb.csv.gz": (gzip.compress(HEADER + b"1,1\n" * 5_000_000), "a zip bomb"),
    "record.csv.gz": (gzip.compress(HEADER + b'"' + b"x" * 120_000_000), "(200 are allowed)"),
    "cut.csv.gz": (gzip.compress(HEADER + os.urandom(999).hex().encode())[:-9], "ends too early"),
    "empty.csv.gz": (b"", "ends too early"),
    "plain.csv.gz": (HEADER, "not a sound gzip file"),
    "junk.parquet": (b"PAR1 and so on", "not a Parquet file"),
    "missing.parquet": (parquet(amount=[1]), "required column id is missing"),
    "nested.parquet": (parquet(id=[[1]]), "column id holds list"),
    "cut.parquet": (parquet(id=["x"])[:-20], "not a Parquet file"),
}


@pytest.fixture
def refused(database: sqlalchemy.Engine, settings: Settings) -> dict[str, str]:
    """Loads one good file among all the bad ones; gives each bad file's error."""
    for name, (content, _) in REFUSED.items():
        put(settings, f"acme/things/{name}", content)
    put(settings, "acme/things/good.csv", HEADER + b"1,1\n")
    report = load(database, settings)
    assert [result.file for result in report.with_status("loaded")] == ["acme/things/good.csv"]
    assert not report.is_clean
    return {Path(result.file).name: result.error or "" for result in report.with_status("refused")}


def test_each_bad_file_is_refused_by_name(
    refused: dict[str, str], database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents an unreadable file from stopping the others, or from half-loading."""
    assert set(refused) == set(REFUSED)
    for name, (_, words) in REFUSED.items():
        assert words in refused[name], name
    assert query(database, "select id from raw.things") == [("1",)]
    recorded = "select file, error, rows_read from ops.loads where status = 'refused'"
    assert {(Path(file).name, error, 0) for file, error, _ in query(database, recorded)} == {
        (name, error, 0) for name, error in refused.items()
    }
    load(database, settings)
    assert len(query(database, recorded)) == len(REFUSED)


def test_a_refusal_goes_once_the_same_content_loads(
    database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents a refusal that a wider contract has mended from raising alarms for ever."""
    put(settings, "acme/things/a.csv", b"key,amount\n1,1\n")
    assert not load(database, settings).is_clean
    wider = Contract("things", "", (Column("key", "text"), *CONTRACTS["things"].columns[1:]),
                     key=("key",), key_required=False)  # fmt: skip
    with database.begin() as connection:
        connection.exec_driver_sql("drop table raw.things")
    report = load_landing(database, settings, contracts={"things": wider}, tenants=TENANTS)
    assert report.is_clean
    assert query(database, "select status from ops.loads") == [("loaded",)]


def test_what_lies_in_the_wrong_place_is_named(
    database: sqlalchemy.Engine, settings: Settings, tmp_path: Path
) -> None:
    """Prevents misplaced files from being skipped silently, and links from leading out."""
    outside = tmp_path / "secret.csv"
    outside.write_bytes(HEADER + b"secret,1\n")
    (tmp_path / "folder").mkdir()
    put(settings, "acme/things/a.csv", HEADER + b"1,1\n")
    put(settings, "nobody/things/a.csv", HEADER)
    put(settings, "nobody/things/b.csv", HEADER)
    put(settings, "acme/widgets/a.csv", HEADER)
    put(settings, "acme/a.csv", HEADER)
    put(settings, "a.csv", HEADER)
    put(settings, "acme/things/a.xlsx", b"")
    put(settings, "acme/things/growing.csv.part", HEADER)
    put(settings, "acme/things/growing.csv.tmp", HEADER)
    put(settings, "acme/things/.hidden.csv", HEADER)
    put(settings, "acme/.hidden/a.csv", HEADER)
    put(settings, "acme/things/two\nlines.csv", HEADER)
    put(settings, os.fsdecode(b"acme/things/caf\xe9.csv"), HEADER)
    things = Path(settings.landing, "acme/things")
    (things / "out.csv").symlink_to(outside)
    (things / "folder").symlink_to(tmp_path / "folder")
    (things / "nothing.csv").symlink_to(tmp_path / "nothing")
    (things / "inside.csv").symlink_to(things / "a.csv")
    os.mkfifo(things / "pipe.csv")
    report = load(database, settings)
    assert [(result.file, result.status) for result in report.files] == [
        ("acme/things/a.csv", "loaded"),
        ("acme/things/inside.csv", "already_loaded"),
    ]
    found = {problem.file: problem.problem for problem in report.problems}
    expected = {
        "nobody": "unknown tenant; list it in seeds/tenants.csv",
        "acme/widgets": "unknown source; known are things",
        "acme/a.csv": "is not in a source's folder",
        "a.csv": "is not in a tenant's folder",
        "acme/things/a.xlsx": "none of the known kinds of file",
        "acme/things/out.csv": "leads out of the landing zone",
        "acme/things/folder": "leads out of the landing zone",
        "acme/things/nothing.csv": "is a link to nothing",
        "acme/things/pipe.csv": "is not a regular file",
        "'acme/things/two\\nlines.csv'": "control character in its name; rename it",
        "'acme/things/caf\\udce9.csv'": "control character in its name; rename it",
    }
    assert set(found) == set(expected)
    for file, words in expected.items():
        assert words in found[file]


def test_a_landing_zone_that_is_not_there_is_named(
    database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents a typing error in the setting from looking like a day without files."""
    settings.landing = f"{settings.landing}/nowhere"
    with pytest.raises(LandingError, match="nowhere is not a folder"):
        load(database, settings)


def test_a_file_that_cannot_be_opened_is_named(
    database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents a file that vanished or is forbidden from stopping the others."""
    gone = put(settings, "acme/things/b.csv", HEADER + b"2,2\n")
    put(settings, "acme/things/a.csv", HEADER + b"1,1\n")

    def remove(progress: Progress) -> None:
        gone.unlink(missing_ok=True)

    report = load(database, settings, progress=remove)
    assert [result.status for result in report.files] == ["loaded"]
    assert report.problems[0].file == "acme/things/b.csv"
    assert "cannot be read: No such file" in report.problems[0].problem


def test_a_file_that_grows_while_it_is_read_waits(
    database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents the first half of a file still being written from counting as the whole."""
    file = put(settings, "acme/things/a.csv", HEADER + b"1,1\n")

    def append(progress: Progress) -> None:
        if progress.result is None:
            with file.open("ab") as opened:
                opened.write(b"2,2\n")

    report = load(database, settings, progress=append)
    assert [problem.problem for problem in report.problems] == [
        "cannot be read: it changed meanwhile, and is loaded next time"
    ]
    assert query(database, "select count(*) from ops.loads") == [(0,)]
    assert query(database, "select count(*) from raw.things") == [(0,)]
    assert load(database, settings).files[0].rows_loaded == 2


def test_two_loads_never_run_at_once(
    database: sqlalchemy.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a schedule and a person from loading the same file twice."""
    monkeypatch.setattr("orchestration.ingest.load.LOCK_WAIT", "10ms")
    with database.connect() as other:
        other.exec_driver_sql(f"select pg_advisory_lock({LOAD_LOCK})")
        with pytest.raises(LoadBusy, match="Another load is running"):
            load(database, settings)
    database.dispose()
    assert load(database, settings).is_clean


MANY = HEADER + b"".join(b"%d,%d\n" % (number, number) for number in range(400_000))
CHILD = """
import os, signal, sys
import sqlalchemy
sys.path.insert(0, {folder!r})
from test_loading_failures import CONTRACTS, TENANTS
from orchestration.ingest.load import load_landing
from orchestration.settings import get_settings
from orchestration.warehouse.database import engine

def strike(progress):
    if progress.result is None:
        os.kill(os.getpid(), {number})

# a shell in the background lets its children ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)
settings = get_settings()
load_landing(engine(settings), settings, strike, contracts=CONTRACTS, tenants=TENANTS)
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_a_load_broken_off_in_the_middle_leaves_nothing(
    database: sqlalchemy.Engine, settings: Settings, blow: signal.Signals
) -> None:
    """Prevents a killed or interrupted load from leaving half a file, or a lock, behind."""
    put(settings, "acme/things/many.csv", MANY)
    code = CHILD.format(folder=str(Path(__file__).parent), number=int(blow))
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == -blow, ended.stderr
    assert query(database, "select count(*) from raw.things") == [(0,)]
    assert query(database, "select count(*) from ops.loads") == [(0,)]
    assert [result.rows_loaded for result in load(database, settings).files] == [400_000]


def test_a_database_that_goes_away_is_named(
    database: sqlalchemy.Engine, settings: Settings, database_url: str
) -> None:
    """Prevents a server's end in the middle of a load from ending in a stack of traces."""
    put(settings, "acme/things/many.csv", MANY)

    def terminate(progress: Progress) -> None:
        if progress.result is None:
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where pid <> pg_backend_pid() and datname = current_database()"
                    " and usename = current_user"
                )

    with pytest.raises(DatabaseUnavailable, match="Nothing half-"):
        load(database, settings, progress=terminate)
    assert query(database, "select count(*) from raw.things") == [(0,)]
