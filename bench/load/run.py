"""How long does loading touchpoints take, next to `psql \\copy` of the very same file?

Run it with `.venv/bin/python bench/load/run.py [--rows N] [--rounds N]`. It starts a server of its
own, takes turns between the two ways, compares the best round of each, and writes
`bench/results/load.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from orchestration.ingest.contracts import ensure_raw_tables, read_contracts
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT, Settings
from orchestration.warehouse.database import engine_for, migrate
from orchestration.warehouse.postgres import ADMINISTRATOR, EmbeddedServer, binaries

RESULT = PROJECT_ROOT / "bench" / "results" / "load.md"
SOURCE = "touchpoints"
TENANT = "aurora"
TYPES = ("page_view", "email_open", "email_click", "pin_save", "ad_click", "purchase")
CHANNELS = ("organic", "pinterest", "email", "ads", "direct", "referral", "social")


def write_touchpoints(file: Path, rows: int, *, first: int = 0) -> None:
    """Write a deterministic touchpoints file: no row is dirty, no id comes twice."""
    draw = random.Random(rows)
    start = datetime(2025, 1, 1)  # noqa: DTZ001
    columns = [column.name for column in read_contracts(DBT_PROJECT_DIR)[SOURCE].columns]
    with file.open("w", encoding="utf-8", newline="\n") as written:
        written.write(",".join(columns) + "\n")
        for number in range(first, first + rows):
            person = draw.randrange(max(rows // 10, 1))
            values = {
                "id": f"tp-{number:09d}",
                "email": f"person{person}@example.com" if draw.random() < 0.6 else "",
                "phone": f"+4915{person % 20000:08d}" if draw.random() < 0.05 else "",
                "anonymous_id": f"anon-{person:07d}",
                "type": TYPES[number % len(TYPES)],
                "channel": CHANNELS[number % len(CHANNELS)],
                "metadata": (
                    f'"{{""page"": ""/products/{person % 500}"", ""seconds"": {person % 300}}}"'
                    if draw.random() < 0.3
                    else "{}"
                ),
                "value": f"{draw.random() * 100:.2f}" if draw.random() < 0.1 else "",
                "collection": "grounding" if person % 3 else "",
                "utm_campaign": "spring" if person % 4 == 0 else "",
                "occurred_at": (
                    (start + timedelta(seconds=draw.randrange(47_000_000))).isoformat() + "Z"
                ),
            }
            written.write(",".join(values.get(column, "") for column in columns) + "\n")


def settle(server: EmbeddedServer) -> None:
    """Let the server write out what earlier rounds left behind."""
    address = server.url(ADMINISTRATOR, "postgres").set(drivername="postgresql")
    with psycopg.connect(
        address.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute("checkpoint")


def time_psql(address: str, file: Path) -> float:
    """Seconds that `psql \\copy` takes into a table with the same columns and unique index."""
    contract = read_contracts(DBT_PROJECT_DIR)[SOURCE]
    columns = ", ".join(column.quoted for column in contract.columns)
    prepare = f"""
        drop table if exists public.plain;
        create table public.plain (like raw.{SOURCE} including all);
        alter table public.plain
            alter tenant_id set default '{TENANT}',
            alter _load_id set default 1,
            alter _line set default 0,
            alter _loaded_at set default now(),
            alter _is_current set default true;
    """
    copy = f"\\copy public.plain ({columns}) from '{file}' with (format csv, header)"
    psql = [str(binaries() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", address, "-c"]
    for statement in (line for line in prepare.split(";") if line.strip()):
        subprocess.run([*psql, statement], check=True)
    started = time.monotonic()
    subprocess.run([*psql, copy], check=True)
    return time.monotonic() - started


LOADER = """
import json, resource, sys, time
from orchestration.ingest.load import load_landing
from orchestration.settings import get_settings
from orchestration.warehouse.database import engine
settings = get_settings()
database = engine(settings)
database.connect().close()
started = time.monotonic()
report = load_landing(database, settings)
seconds = time.monotonic() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
assert report.is_clean, report
print(json.dumps({"seconds": seconds, "peak": peak, **report.to_dict()["totals"]}))
"""


def time_loader(address: str, landing: Path) -> dict[str, float]:
    """Seconds, peak megabytes and counts of one `load_landing` in a process of its own."""
    environment = {
        **os.environ,
        "JOURNEY_DATABASE_URL": address,
        "JOURNEY_LANDING": str(landing),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADER], check=True, env=environment, stdout=subprocess.PIPE
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    """Measure, print and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    home = Path(tempfile.mkdtemp(prefix="journey-bench-"))
    home.chmod(0o711)
    server = EmbeddedServer(Settings(home=home / "home", database_url=None))
    try:
        server.start()
        address = server.url().set(drivername="postgresql").render_as_string(hide_password=False)
        database = engine_for(server.url())
        migrate(database)
        with database.begin() as connection:
            ensure_raw_tables(connection)
        file = home / "landing" / TENANT / SOURCE / "touchpoints.csv"
        small = home / "small" / TENANT / SOURCE / "touchpoints.csv"
        for path, rows in ((file, options.rows), (small, options.rows // 10)):
            path.parent.mkdir(parents=True)
            write_touchpoints(path, rows)
        plain: list[float] = []
        loaded: list[dict[str, float]] = []
        for _ in range(options.rounds):
            settle(server)
            plain.append(time_psql(address, file))
            with database.begin() as connection:
                connection.exec_driver_sql(f"truncate raw.{SOURCE}, raw.phone_numbers, ops.loads")
            settle(server)
            loaded.append(time_loader(address, home / "landing"))
            assert loaded[-1]["rows_loaded"] == options.rows
        with database.begin() as connection:
            connection.exec_driver_sql(f"truncate raw.{SOURCE}, raw.phone_numbers, ops.loads")
        small_peak = time_loader(address, home / "small")["peak"]
        megabytes = file.stat().st_size / 1e6
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    best = min(run["seconds"] for run in loaded)
    peak = max(run["peak"] for run in loaded)
    text = f"""# Loading touchpoints

`bench/load/run.py`: {options.rows:,} rows, {megabytes:.0f} MB of CSV, into an embedded PostgreSQL;
best of {options.rounds} rounds, the two ways taking turns on the same server.

| way | seconds | rows per second |
|---|---:|---:|
| `psql \\copy` into a table with the same columns and indexes | {min(plain):.1f} | {
        options.rows / min(plain):,.0f} |
| `load_landing`: hash, read, validate, copy, merge, phones, analyze | {best:.1f} | {
        options.rows / best:,.0f} |

The loader takes **{best / min(plain):.2f} times** as long as the plain copy (the goal: at most 2).

Its peak memory was {peak:.0f} MB; for a file a tenth of the size it was {small_peak:.0f} MB.
"""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text)
    print(text)
    print(f"every round: psql {plain}, loader {[run['seconds'] for run in loaded]}")


if __name__ == "__main__":
    main()
