"""How fast does a live delivery send, how close to the permitted rate, and in how much memory?

Run it with `.venv/bin/python bench/delivery/run.py [--messages N]`. It starts a database of its own
and, in another process, the server of the tests; it sends the messages without any limit, then
some jobs under Klaviyo's own windows, and writes `bench/results/delivery.md`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestration.activation import courier
from orchestration.activation.destinations import DESTINATIONS
from orchestration.activation.rates import Limits
from orchestration.activation.report import SendReport
from orchestration.activation.send import World, send
from orchestration.build import build
from orchestration.sample.generate import generate
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.database import engine, migrate
from orchestration.warehouse.postgres import EmbeddedServer
from tests.destinations.server import REAL_WINDOWS, Destinations, Windows

RESULT = PROJECT_ROOT / "bench" / "results" / "delivery.md"
TENANT, AS_OF = "aurora", datetime(2026, 7, 1, tzinfo=UTC)
NOW = AS_OF + timedelta(hours=1)
UNLIMITED = dict.fromkeys(DESTINATIONS["klaviyo"].limits, Limits())
JOBS_TIMED, JOBS_PER_MINUTE, MESSAGES_PER_JOB = 320, 150, 10
PEOPLE = """
    insert into {table}
    select clone.*
    from {table} as original
    cross join generate_series(1, :messages) as number
    cross join lateral jsonb_populate_record(original, {change}) as clone
    where original.ctid = (select min(ctid) from {table} where tenant_id = 'aurora')
"""
CUSTOMER = """jsonb_build_object(
    'customer_id', 'p' || number, 'email', 'p' || number || '@example.com',
    'email_subscribed', true, 'is_email_suppressed', false
)"""
IDENTITY = """jsonb_build_object(
    'customer_id', 'p' || number, 'identifier_type', 'email',
    'identifier', 'p' || number || '@example.com'
)"""
EVENT = """jsonb_build_object(
    'customer_id', 'p' || number, 'message_id', md5('m' || number), 'purpose', 'points_expiring',
    'not_before', '2026-07-01T00:30:00Z', 'expires_at', null, 'payload', jsonb_set(jsonb_set(
        original.payload,
        '{data,attributes,unique_id}', to_jsonb(md5('m' || number))),
        '{data,attributes,profile,data,attributes,email}',
        to_jsonb('p' || number || '@example.com'))
)"""


def serve(windows: Windows | None, pipe: Connection) -> None:
    """The server of the tests, until the pipe says something; then what it saw."""
    with Destinations(windows=windows) as server:
        pipe.send(server.environment())
        pipe.recv()
        repeated = sum(count > 1 for count in server.recordings.values())
        pipe.send((len(server.events), repeated, server.times["jobs"], server.too_many))


@contextmanager
def destination(windows: Windows | None) -> Iterator[Connection]:
    """A server in a process of its own, named in the environment."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(windows, theirs))
    process.start()
    os.environ.update(ours.recv())
    try:
        yield ours
    finally:
        process.join(10)
        process.kill()


class Memory:
    """The resident memory of this process, looked at ten times a second."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.samples.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    def at(self, share: float) -> float:
        """Megabytes when this share of the time had passed."""
        return self.samples[min(int(share * len(self.samples)), len(self.samples) - 1)]


def fill(database: sqlalchemy.Engine, messages: int) -> None:
    """People who want e-mail, with a message each, and no limit in the way."""
    tables = (
        ("marts.customers", CUSTOMER),
        ("marts.customer_identities", IDENTITY),
        ("sync.sync_klaviyo__loyalty_events", EVENT),
    )
    with database.begin() as connection:
        connection.execute(text("set local journey.replaces = 'on'"))
        for table, change in tables:
            connection.execute(
                text(PEOPLE.format(table=table, change=change)), {"messages": messages}
            )
        connection.execute(
            text("delete from sync.sync_klaviyo__loyalty_events where customer_id not like 'p%'")
        )
        connection.execute(
            text("update intermediate.int_tenants__settings set max_messages_per_run = 10000000")
        )
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table, _ in tables:
            connection.exec_driver_sql(f"analyze {table}")


def deliver(settings: Settings, **world: Any) -> tuple[SendReport, float]:
    """Send, and how many seconds it took."""
    start = time.perf_counter()
    report = send(settings, TENANT, ["loyalty"], World(clock=lambda: NOW, **world))
    return report, time.perf_counter() - start


def unlimited(settings: Settings, messages: int) -> str:
    """A row of the result: everything at once."""
    with destination(None) as server, Memory() as memory:
        report, seconds = deliver(settings, limits=UNLIMITED)
        server.send("end")
        arrived, repeated, _, _ = server.recv()
    assert report.total("sent") == arrived == messages, report.to_dict()
    assert repeated == 0
    return (
        f"| {messages:,} messages without limits | {seconds:,.1f} s, "
        f"{messages / seconds:,.0f} messages per second |\n"
        f"| resident memory after a tenth, half and all of it | {memory.at(0.1):.0f}, "
        f"{memory.at(0.5):.0f}, {memory.at(1):.0f} MB |\n"
    )


def within_windows(settings: Settings, database: sqlalchemy.Engine) -> str:
    """A row of the result: jobs under the windows that Klaviyo has."""
    with database.begin() as connection:
        connection.execute(text("truncate outbox.deliveries"))
        connection.execute(text("set local journey.replaces = 'on'"))
        connection.execute(
            text(
                "delete from sync.sync_klaviyo__loyalty_events where message_id not in (select "
                "message_id from sync.sync_klaviyo__loyalty_events order by message_id limit :most)"
            ),
            {"most": JOBS_TIMED * MESSAGES_PER_JOB},
        )
    courier.PAGE = MESSAGES_PER_JOB
    with destination(REAL_WINDOWS) as server:
        report, _ = deliver(settings)
        server.send("end")
        _, repeated, times, too_many = server.recv()
    assert report.is_complete, report.notes
    assert repeated == 0
    minutes = (times[2 * JOBS_PER_MINUTE] - times[0]) / 60
    share = 2 * JOBS_PER_MINUTE / minutes / JOBS_PER_MINUTE
    return (
        f"| bulk jobs under 10 per second and 150 per minute | {share:.1%} of the permitted rate, "
        f"{too_many} answers of 429 |\n"
    )


def main() -> None:
    """Measure, print and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--messages", type=int, default=1_000_000)
    messages = arguments.parse_args().messages
    home = Path(tempfile.mkdtemp(prefix="journey-bench-"))
    home.chmod(0o711)
    settings = Settings(home=home / "home", database_url=None)
    os.environ["JOURNEY_HOME"] = str(settings.home)
    server = EmbeddedServer(settings)
    try:
        server.start()
        database = engine(settings)
        migrate(database)
        generate(Path(settings.landing), customers=120, seed=7)
        report = build(settings, AS_OF)
        assert report.succeeded, report.errors
        fill(database, messages)
        rows = unlimited(settings, messages) + within_windows(settings, database)
        database.dispose()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    result = f"""# A live delivery

`bench/delivery/run.py`, on {os.cpu_count()} cores that the database, the sender and the server of
the tests share. The process made the warehouse first, so dbt and Dagster are in its memory.

| what | measured |
|---|---|
{rows}"""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(result, encoding="utf-8")
    print(result)


if __name__ == "__main__":
    main()
