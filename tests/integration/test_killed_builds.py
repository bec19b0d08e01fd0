"""Builds that are killed at any instant, or whose server is, and that are simply run again."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy
from psycopg import sql

from orchestration.build import BuildReport, build
from orchestration.settings import Settings
from orchestration.warehouse.builds import Build, settled_latest_build
from orchestration.warehouse.database import engine, engine_for, migrate
from orchestration.warehouse.postgres import ADMINISTRATOR, OWNER, EmbeddedServer, binaries
from tests.conftest import BUILT_TEMPLATE, SAMPLE_AS_OF, administer, built_warehouse

IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
KILLS = 50 if IS_LONG else 2
KILLS_IN_A_ROW = 5 if IS_LONG else 2
PATIENCE_SECONDS, LOOK_EVERY_SECONDS = 600, 0.05
SCHEMAS = ("raw", "seeds", "marts", "sync", "outbox")
LEFT_OUT = {
    "_load_id": "PostgreSQL gives no number twice, also not that of a load that was rolled back",
    "_first_load_id": "the same",
    "_replaced_by_load_id": "the same",
    "load_id": "the same",
    "_loaded_at": "the instant of the load",
    "rejected_at": "the instant of the load",
    "build_id": "each build has its own",
    "created_at": "the instant of the decision, in tables of the outbox",
    "updated_at": "the instant of the record, in tables of the outbox",
}
"""Columns in which two warehouses differ that are the same, and why."""
CLOCK_ONLY_IN = {"created_at": "outbox", "updated_at": "outbox"}
RECORDED_IN = ("raw", "ops", "outbox")
RECORDED_AT = ("_loaded_at", "rejected_at", "started_at", "finished_at")
"""Where the instants stand that the clock gave, and not the sender of a row."""
CODE = re.compile(r"\b(?:GIFT-)?[A-HJ-NP-Z2-9]{4}(?:-[A-HJ-NP-Z2-9]{4}){1,2}\b")
"""Codes of gifts and rewards, which are drawn."""
LASTING_PROCESSES = """
    select pid from pg_stat_activity where backend_type in ('checkpointer', 'walwriter')
    union
    select pid from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'
"""
"""The server's helpers, and the sessions that hold the warehouse or its loads: when one of them is
killed, the server ends all others too, and recovers as after a crash."""
DECIDED = ("outbox.redemption_decisions", "outbox.gift_codes", "outbox.campaign_enrolments")
NEW_FILES = {
    "leads": "id,email,first_name,last_name,phone,source,captured_at\n"
    "lead-new,nora.new@example.com,Nora,New,,fair,2026-06-30T10:00:00Z\n"
    "lead-broken,,,,,fair,tomorrow\n",
    "shop_orders": "id,shop_id,slug,phone_number,email,customer_name,network,total_price,currency,"
    "payment_method,status,created_at\n"
    "order-new,shop-1,spring,+491735550101,nora.new@example.com,Nora New,,820.00,EUR,card,paid,"
    "2026-06-30T11:00:00Z\n",
    "touchpoints": "id,email,anonymous_id,type,channel,collection,occurred_at\n"
    "touch-new-1,nora.new@example.com,anon-new,page_view,direct,growth,2026-06-30T09:00:00Z\n"
    "touch-new-2,mara.lindqvist@example.com,anon-new-2,email_click,email,,2026-06-30T09:30:00Z\n"
    "touch-new-3,,anon-new,cart_add,direct,growth,2026-06-30T09:10:00Z\n",
    "consent_changes": "id,email,phone,channel,subscribed,reason,changed_at\n"
    "consent-new,nora.new@example.com,,email,true,fair,2026-06-30T10:00:00Z\n",
    "gifts": "id,order_id,sender_email,sender_name,recipient_email,recipient_name,message,"
    "scheduled_delivery_at,created_at\n"
    "gift-new,,mara.lindqvist@example.com,Mara,nora.new@example.com,Nora,Hello,,"
    "2026-06-30T12:00:00Z\n",
    "redemption_requests": "id,email,phone,reward_id,requested_at\n"
    "redeem-new,mara.lindqvist@example.com,,reward-free-shipping,2026-06-30T13:00:00Z\n",
}
"""A person who is new, one who comes back, and what is decided about them: in each of the steps."""

Rows = dict[str, Counter[str]]


@dataclass
class Killed:
    """What became of the kills, and of the warehouses that were run again after them."""

    undisturbed: Rows
    ends: list[Rows] = field(default_factory=list)
    verdicts: list[Build] = field(default_factory=list)
    lost_decisions: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def durable(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    enterable_folder: Callable[[], Path],
) -> Iterator[EmbeddedServer]:
    """A server as people have it, which keeps what it committed, with the built template."""
    running = EmbeddedServer(Settings(home=enterable_folder(), database_url=None))
    running.start()
    try:
        owned = engine_for(running.url())
        migrate(owned, running.credentials())
        owned.dispose()
        name = sql.Identifier(BUILT_TEMPLATE)
        administer(
            running,
            sql.SQL("create database {} owner {}").format(name, sql.Identifier(OWNER)),
        )
        dump = subprocess.Popen(
            [binaries() / "pg_dump", "--format=custom", address_of(server)], stdout=subprocess.PIPE
        )
        subprocess.run(
            [binaries() / "pg_restore", "--exit-on-error", f"--dbname={address_of(running)}"],
            stdin=dump.stdout,
            check=True,
        )
        assert dump.wait() == 0
        yield running
    finally:
        running.stop()


def address_of(running: EmbeddedServer) -> str:
    """Where the administrator finds the built template."""
    address = running.url(ADMINISTRATOR, BUILT_TEMPLATE).set(drivername="postgresql")
    return address.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def killed(
    durable: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path_factory: pytest.TempPathFactory,
) -> Killed:
    """Builds of the same new files: one that nobody disturbs, others that are killed and repeated.

    The instants are spread over the time that the first one takes, so that some hit the load,
    some the models, and some what is decided and written at the end. What is killed also has a
    clock that was set back by a day since the build before.
    """
    draw = random.Random(KILLS)

    @contextmanager
    def opened() -> Iterator[Settings]:
        for settings in built_warehouse(durable, warehouse, tmp_path_factory.mktemp("killed")):
            for source, text in NEW_FILES.items():
                folder = Path(settings.landing, "aurora", source)
                folder.mkdir(exist_ok=True)
                (folder / "new.csv").write_text(text)
            yield settings

    with opened() as settings:
        report = build(settings, SAMPLE_AS_OF)
        assert report.succeeded, report.errors
        result = Killed(rows_of(settings))
    seconds = report.seconds - report.seconds_per_step["start"]
    parts = [(number + draw.random()) / KILLS for number in range(KILLS)]
    draw.shuffle(parts)
    while parts:
        with opened() as settings:
            set_clock_ahead(settings)
            decided: Rows = {table: Counter() for table in DECIDED}
            for _ in range(min(KILLS_IN_A_ROW, len(parts))):
                hit(durable, settings, draw, parts[-1] * seconds, is_server=len(parts) % 2 == 0)
                result.verdicts.append(latest_of(settings))
                for table, rows in rows_of(settings, complete=True).items():
                    if table in decided:
                        decided[table] |= rows
                parts.pop()
            report = build(settings, SAMPLE_AS_OF)
            assert report.succeeded, report.errors
            end = rows_of(settings, complete=True)
            result.lost_decisions += [
                row for table in DECIDED for row in decided[table] - end[table]
            ]
            result.ends.append(rows_of(settings))
    return result


@pytest.mark.long
def test_what_is_killed_and_run_again_ends_as_if_nothing_had_happened(killed: Killed) -> None:
    """Prevents: rows that are lost, doubled or half-derived, and messages meant for delivery twice,
    because a build or the server died between a file and the table that follows from it, or because
    the clock was set back since the files before."""
    for end in killed.ends:
        require_equal(end, killed.undisturbed)


@pytest.mark.long
def test_a_build_that_was_killed_has_no_success(killed: Killed) -> None:
    """Prevents: messages that leave on the word of a build that died half-way."""
    for record in killed.verdicts:
        has_ended = "check_sync" in record.details.get("seconds_per_step", {})
        assert record.verdict == ("succeeded" if has_ended else "interrupted"), record


@pytest.mark.long
def test_what_a_killed_build_decided_stands(killed: Killed) -> None:
    """Prevents: a second code for a gift or a reward whose first one somebody holds already."""
    assert killed.lost_decisions == []
    deliveries = killed.undisturbed["outbox.deliveries"]
    assert any("gift-new" in row for row in killed.undisturbed["outbox.gift_codes"])
    assert any("redeem-new" in row for row in killed.undisturbed["outbox.redemption_decisions"])
    assert set(deliveries.values()) == {1}


def require_equal(one: Rows, other: Rows) -> None:
    """Fail with the first table that differs, and its rows."""
    assert one.keys() == other.keys()
    for table in one:
        assert one[table] - other[table] == Counter(), table
        assert other[table] - one[table] == Counter(), table


def set_clock_ahead(settings: Settings) -> None:
    """Let everything that was recorded so far be recorded a day later than it was."""
    with connected(settings) as connection:
        columns = connection.exec_driver_sql(
            "select table_schema, table_name, column_name from information_schema.columns "
            "where table_schema = any(%(schemas)s) and column_name = any(%(names)s)",
            {"schemas": list(RECORDED_IN), "names": list(RECORDED_AT)},
        ).all()
        for schema, table, column in columns:
            connection.exec_driver_sql(
                f'update "{schema}"."{table}" set "{column}" = "{column}" + interval \'1 day\''
            )
        connection.commit()


def start_build() -> subprocess.Popen[bytes]:
    """Build from the command line: load, models, checks, decisions and the outputs' dry run."""
    return subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "build", "--as-of", SAMPLE_AS_OF],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def hit(
    running: EmbeddedServer,
    settings: Settings,
    draw: random.Random,
    seconds: float,
    *,
    is_server: bool,
) -> None:
    """Build, and so many seconds after it began kill it, or the server or a session there."""
    builds_before = count_builds(settings)
    process = start_build()
    while count_builds(settings) == builds_before:
        assert not has_ended_after(process, LOOK_EVERY_SECONDS), process.returncode
    if has_ended_after(process, seconds):
        return
    if is_server:
        with connected(settings) as connection:
            lasting = sorted(connection.exec_driver_sql(LASTING_PROCESSES).scalars())
        os.kill(draw.choice([running.state().pid or lasting[0], *lasting]), signal.SIGKILL)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_SECONDS)
    running.start()


def has_ended_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ends within that time."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def connected(settings: Settings) -> Iterator[sqlalchemy.Connection]:
    database = engine(settings)
    try:
        with database.connect() as connection:
            yield connection
    finally:
        database.dispose()


def count_builds(settings: Settings) -> int:
    with connected(settings) as connection:
        count: int = connection.exec_driver_sql("select count(*) from ops.builds").scalar_one()
    return count


def latest_of(settings: Settings) -> Build:
    with connected(settings) as connection:
        latest = settled_latest_build(connection)
    assert latest is not None
    return latest


def rows_of(settings: Settings, *, complete: bool = False) -> Rows:
    """Every row of every table that is promised to be the same, as text; codes are blanked.

    Args:
        settings: which warehouse.
        complete: nothing left out, for comparisons of a warehouse with itself.
    """
    found: Rows = {}
    with connected(settings) as connection:
        for schema in SCHEMAS:
            left_out = [name for name in LEFT_OUT if CLOCK_ONLY_IN.get(name, schema) == schema]
            for table in sqlalchemy.inspect(connection).get_table_names(schema=schema):
                statement = f'select (to_jsonb(whole) - %(without)s::text[])::text from "{schema}".'
                rows = connection.exec_driver_sql(
                    f'{statement}"{table}" as whole', {"without": [] if complete else left_out}
                ).scalars()
                found[f"{schema}.{table}"] = Counter(
                    row if complete else CODE.sub("CODE", row) for row in rows
                )
    return found
