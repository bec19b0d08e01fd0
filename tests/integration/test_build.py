"""The build as people and schedules run it, and the gate that its verdict holds."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import dagster as dg
import pytest
import sqlalchemy
from typer.testing import CliRunner

from orchestration import transform as transform_module
from orchestration.activation.deliver import DeliveryError, deliver
from orchestration.activation.gate import GateClosed
from orchestration.activation.message import OUTPUTS
from orchestration.alerts import FILE as FAILURES
from orchestration.alerts import RunFailure, tell
from orchestration.build import BuildReport, build
from orchestration.cli import app
from orchestration.defs.automation import JOB
from orchestration.defs.event_log import EventLog
from orchestration.defs.models import DBT_STEP
from orchestration.ingest.contracts import read_contracts
from orchestration.services import prepare_dagster_home
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.transform import (
    NodeResult,
    TransformError,
    _with_examples,
    load_manifest_json,
    project_fingerprint,
    table_names,
    transform,
    transform_events,
)
from orchestration.warehouse.builds import (
    BuildRunning,
    Coverage,
    building,
    latest_build,
    parse_as_of,
    settled_latest_build,
)
from orchestration.warehouse.database import engine
from orchestration.warehouse.postgres import EmbeddedServer

HashTables = Callable[..., dict[str, tuple[int, str]]]

AS_OF = parse_as_of("2026-07-01T00:00:00Z")
WINBACK = "sync.sync_klaviyo__winback_events"
HOLD_A_BUILD = """
import sys
from orchestration.settings import get_settings
from orchestration.warehouse.builds import building
from orchestration.warehouse.database import engine
with building(engine(get_settings())):
    print("building", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def built_database(built: Settings) -> Iterator[sqlalchemy.Engine]:
    made = engine(built)
    yield made
    made.dispose()


def files_below(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def change(database: sqlalchemy.Engine, statement: str) -> int:
    with database.begin() as connection:
        return connection.exec_driver_sql(statement).rowcount


def value_of(database: sqlalchemy.Engine, query: str) -> object:
    with database.connect() as connection:
        return connection.exec_driver_sql(query).scalar_one()


def test_a_build_succeeds_and_says_where_the_time_went(
    warehouse: tuple[Path, BuildReport],
) -> None:
    """Prevents a build that is slow or partly done without anyone seeing where."""
    _, report = warehouse
    assert (report.build.verdict, report.build.scope) == ("succeeded", "whole")
    assert report.build.as_of == AS_OF
    assert set(report.tests) == {"pass"}
    steps = {"start", "load", "check_raw", "transform", "check_sync", "finish"}
    assert set(report.seconds_per_step) == steps
    assert report.warnings == []
    assert {name: found["errors"] for name, found in report.quality.items()} == {
        "raw": 0,
        "sync": 0,
    }
    assert sum(report.seconds_per_step.values()) == pytest.approx(report.seconds, abs=0.1)
    assert {"customers", "orders", "tenants"} <= set(report.seconds_per_model)
    assert set(report.written) == {f"{output}_outputs" for output in OUTPUTS}
    totals = report.load["totals"]
    assert totals["rows_read"] == (
        totals["rows_loaded"] + totals["rows_unchanged"] + totals["rows_rejected"]
    )


def test_the_ui_sees_the_run_its_assets_and_its_checks(
    warehouse: tuple[Path, BuildReport],
) -> None:
    """Prevents a UI that knows nothing of what was built from the command line, and a release of
    dagster-dbt that no longer maps dbt's events."""
    home, report = warehouse
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        run = instance.get_run_by_id(report.build.details["run_id"])
        assert run is not None
        assert run.is_success
        records = instance.all_logs(run.run_id)
        happened = [record.dagster_event for record in records if record.dagster_event]
    manifest = json.loads((home / "dbt" / "manifest.json").read_text())
    built = {event.asset_key for event in happened if event.is_step_materialization}
    loaded = [one for one in manifest["sources"].values() if one["source_name"] == "raw"]
    assert len(built) == len(report.seconds_per_model) + len(loaded) + len(OUTPUTS) + 2
    contracts = read_contracts(DBT_PROJECT_DIR)
    evaluated = [event for event in happened if event.event_type_value == "ASSET_CHECK_EVALUATION"]
    assert len(evaluated) == report.tests["pass"] + 2 * len(contracts) + len(OUTPUTS)
    assert all(event.asset_check_evaluation_data.passed for event in evaluated)


def test_a_build_writes_no_password_anywhere(
    warehouse: tuple[Path, BuildReport], server: EmbeddedServer
) -> None:
    """Prevents a log, a compiled query or a record of a run by which whoever may read files may
    also build."""
    home, _ = warehouse
    passwords = [password.encode() for password in server.credentials().values()]
    written = [path for path in home.rglob("*") if path.is_file() and path.stat().st_size]
    assert {"index.db", "manifest.json"} <= {path.name for path in written}
    assert [
        str(path.relative_to(home))
        for path in written
        if any(password in path.read_bytes() for password in passwords)
    ] == []


def test_a_failed_check_fails_the_build_and_holds_every_message_back(
    built: Settings, built_database: sqlalchemy.Engine, hash_tables: HashTables
) -> None:
    """Prevents messages that rest on orders whose worth nobody knows, and marts of two generations:
    some with the new customers, others with the old money."""
    before = hash_tables(built_database, ("marts", "sync"))
    assert change(
        built_database,
        "update raw.shop_orders set currency = 'XTS', phone_number = null, email = "
        "'new.person@example.com' where id = (select min(id) from raw.shop_orders "
        "where _is_current)",
    )
    # no load brought this row, so that only a whole derivation can see it
    report = build(built, AS_OF, full_refresh=True)
    assert report.build.verdict == "failed"
    assert not report.succeeded
    assert report.written == {}
    assert hash_tables(built_database, ("marts", "sync")) == before
    (error,) = report.errors
    assert re.search(
        r"assert_every_order_has_an_exchange_rate: 1 row, such as currency=XTS, "
        r"tenant_currency=[A-Z]{3}, ordered_on=([0-9-]{10}), "
        r"line_to_add=XTS,[A-Z]{3},\1,\?, order_count=1\. A returned row is a "
        r"currency without a rate .*seeds/exchange_rates\.csv\. See the rows with",
        error,
    )
    compiled = Path(error.partition("journey psql -f ")[2].split()[0])
    assert change(built_database, compiled.read_text()) == 1
    with pytest.raises(GateClosed, match="assert_every_order_has_an_exchange_rate"):
        deliver(built)
    assert files_below(built.home / "outbox") == {}


def test_nothing_beside_the_database_names_a_person(
    built: Settings, built_database: sqlalchemy.Engine, server: EmbeddedServer
) -> None:
    """Prevents an e-mail, a phone or a name that lives on in a log, in Dagster's records or in the
    file of failures after its owner was forgotten: files are not looked through then."""
    leads = Path(built.landing, "aurora", "leads")
    row = "lead-new,nora.new@example.com,Noraline,New,+491735550101,fair,2026-06-30T10:00:00Z\n"
    header = "id,email,first_name,last_name,phone,source,captured_at\n"
    (leads / "headless.csv").write_text(row)
    (leads / "good.csv").write_text(header + row)
    (leads / "bad.csv").write_text(header + row.replace("2026-06-30T10", "noon of 2026-06-30"))
    change(
        built_database,
        "alter table marts.customers add constraint nobody_new check (email not like 'nora%%')"
        " not valid",
    )
    logged = server.log.stat().st_size
    report = build(built, AS_OF)
    assert report.build.verdict == "failed"
    assert report.load["totals"]["rows_rejected"] == 1
    assert len(report.load["refused"]) == 1
    (error,) = report.errors
    assert 'violates check constraint "nobody_new"' in error
    tell(built, RunFailure("run", JOB, datetime.now(UTC), {"dbt_build": error}))

    personal = (b"nora.new", b"Noraline", b"1735550101")
    written = {
        str(path.relative_to(built.home)): path.read_bytes()
        for path in built.home.rglob("*")
        if path.is_file() and Path(built.landing) not in path.parents
    }
    assert FAILURES in written
    assert "dagster/history/runs/index.db" in written
    written["the server's log"] = server.log.read_bytes()[logged:]
    for table in ("builds", "loads"):
        rows = f"select string_agg(to_jsonb(whole)::text, ' ') from ops.{table} as whole"
        written[f"ops.{table}"] = str(value_of(built_database, rows)).encode()
    assert [name for name, held in written.items() if any(one in held for one in personal)] == []


def test_a_second_build_is_told_who_builds_and_since_when(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents two builds that write the same tables at once."""
    with building(built_database, AS_OF) as first:
        with pytest.raises(BuildRunning) as refusal:
            build(built, AS_OF)
        with pytest.raises(GateClosed, match="is running"):
            deliver(built)
    message = str(refusal.value)
    assert f"{first.record.started_at:%Y-%m-%d %H:%M:%S} UTC" in message
    assert str(first.record.build_id) in message
    assert first.record.details["run_by"] in message
    with building(built_database):
        pass


def test_a_killed_build_is_marked_and_needs_no_repair(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a lock, or a word `running`, that outlives the process it speaks of."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_BUILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    process.kill()
    process.communicate()
    with pytest.raises(GateClosed, match=r"was interrupted|is running"):
        deliver(built)
    with building(built_database, AS_OF) as following:
        following.succeed("whole")
    verdicts = "select string_agg(verdict, ', ' order by started_at) from ops.builds"
    assert value_of(built_database, verdicts) == "succeeded, interrupted, succeeded"
    assert deliver(built).build_id == following.record.build_id


def test_an_interrupt_leaves_no_dbt_at_work(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a dbt that goes on writing when the build has given up its lock."""
    events = transform_events(built, AS_OF)
    next(events)
    events.close()
    assert "dbt" not in {thread.name for thread in threading.enumerate()}
    at_work = "select count(*) from pg_stat_activity where application_name = 'dbt'"
    assert value_of(built_database, f"{at_work} and state = 'active'") == 0


def test_the_events_of_runs_are_kept_whoever_reads_meanwhile(tmp_path: Path) -> None:
    """Prevents a page of the UI without the last events of a run, events in another run's file, and
    events that are written to a file which was removed."""
    writer, reader = EventLog(str(tmp_path)), EventLog(str(tmp_path))
    one, other = (dg.DagsterRun(JOB).run_id for _ in range(2))
    for number, run_id in enumerate((one, other, one)):
        writer.store_event(
            dg.EventLogEntry(None, logging.INFO, f"{number}", run_id, timestamp=float(number))
        )
    for log in (reader, writer):
        told = [[entry.user_message for entry in log.get_logs_for_run(run)] for run in (one, other)]
        assert told == [["0", "2"], ["1"]]
    reader.dispose()
    writer.wipe()
    assert not (tmp_path / f"{one}.db").exists()
    writer.store_event(dg.EventLogEntry(None, logging.INFO, "anew", one, timestamp=3.0))
    assert [entry.user_message for entry in reader.get_logs_for_run(one)] == ["anew"]
    reader.dispose()
    writer.dispose()


def test_an_exception_settles_the_build_as_failed(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a verdict that stays open, or a success after an error or an interrupt."""
    for error, verdict in ((ValueError("no"), "failed"), (KeyboardInterrupt(), "interrupted")):
        with (
            pytest.raises(type(error)),
            building(built_database) as build_,
            build_.step("load"),
        ):
            raise error
        with built_database.connect() as connection:
            latest = latest_build(connection)
        assert latest is not None
        assert latest.verdict == verdict
        with pytest.raises(GateClosed, match="failed" if verdict == "failed" else "interrupted"):
            deliver(built)
    with building(built_database) as silent:
        pass
    assert silent.record.verdict == "interrupted"


def test_an_interrupt_from_the_terminal_is_no_success(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a Ctrl-C during the transformation that is recorded as a success, buried under
    tracebacks, or in the way of the next build."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "build", "--as-of", "2026-07-01T00:00:00Z"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.match(r"\d+/\d+ ", line):
            os.killpg(process.pid, signal.SIGINT)
            break
    rest, _ = process.communicate()
    assert process.returncode == 130, [*lines, rest]
    assert rest.splitlines()[-1].startswith("Interrupted.")
    assert "Traceback" not in rest
    assert "Build succeeded" not in rest
    with built_database.connect() as connection:
        latest = latest_build(connection)
    assert latest is not None
    assert (latest.verdict, latest.scope) == ("interrupted", "none")
    with pytest.raises(GateClosed, match="was interrupted"):
        deliver(built)
    assert build(built, AS_OF, select="tenants").build.verdict == "succeeded"


@pytest.mark.parametrize(
    ("error", "verdict", "told"),
    [
        (dg.DagsterExecutionInterruptedError(), "interrupted", KeyboardInterrupt),
        (ValueError("the disk is full"), "failed", None),
    ],
)
def test_what_happens_while_dagster_takes_down_a_model_is_no_success(
    built: Settings,
    built_database: sqlalchemy.Engine,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    verdict: str,
    told: type[BaseException] | None,
) -> None:
    """Prevents a success, or a dbt that works on without the lock, when the exception is raised
    in Dagster and so never reaches our code."""
    store = EventLog.store_event

    def fail_once(log: EventLog, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event and event.is_step_materialization and event.step_key == DBT_STEP:
            monkeypatch.setattr(EventLog, "store_event", store)
            raise error
        store(log, entry)

    monkeypatch.setattr(EventLog, "store_event", fail_once)
    if told is None:
        report = build(built, AS_OF)
        assert not report.succeeded
    else:
        with pytest.raises(told):
            build(built, AS_OF)
    assert "dbt" not in {thread.name for thread in threading.enumerate()}
    with built_database.connect() as connection:
        latest = latest_build(connection)
    assert latest is not None
    assert (latest.verdict, latest.scope) == (verdict, "none")


def test_a_run_left_behind_by_a_killed_process_is_ended_by_the_next_build(
    built: Settings,
) -> None:
    """Prevents a dead run that stands as started for ever, so that the daemon launches none."""
    dead = dg.DagsterRun(job_name=JOB, status=dg.DagsterRunStatus.STARTED)
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(built))) as instance:
        instance.add_run(dead)
        assert build(built, AS_OF, select="tenants").succeeded
        ended = instance.get_run_by_id(dead.run_id)
    assert ended is not None
    assert ended.is_failure


def test_a_build_runs_only_as_long_as_its_process(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a status that says `running` after the process was killed."""
    with building(built_database):
        with built_database.connect() as connection:
            running = settled_latest_build(connection)
        assert running is not None
        assert running.verdict == "running"
    change(built_database, "update ops.builds set verdict = 'running' where verdict <> 'succeeded'")
    with built_database.connect() as connection:
        settled = settled_latest_build(connection)
    assert settled is not None
    assert settled.verdict == "interrupted"
    shown = CliRunner().invoke(app, ["status"])
    assert "Last build: interrupted" in shown.output


def test_a_build_without_some_files_shows_them_and_exits_with_1(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a file that is missing from the marts without anyone being told, and a record that
    repeats every file at every build."""
    landing = Path(built.landing)
    (landing / "aurora" / "leads" / "broken.csv").write_text("no,such,columns\n1,2,3\n")
    (landing / "nobody").mkdir()
    (landing / "nobody" / "stray.csv").write_text("id\n")
    result = CliRunner().invoke(
        app, ["build", "--select", "tenants", "--as-of", "2026-07-01T00:00:00Z"]
    )
    assert result.exit_code == 1
    assert "aurora/leads/broken.csv: refused: " in result.stderr
    assert "nobody" in result.stderr
    assert (
        "Build succeeded, but 1 file was refused and 1 of the landing zone's files" in result.stderr
    )
    with built_database.connect() as connection:
        latest = latest_build(connection)
    assert latest is not None
    assert latest.verdict == "succeeded"
    loaded = latest.details["load"]
    assert set(loaded) == {"totals", "refused", "problems"}
    assert [one["file"] for one in loaded["refused"]] == ["aurora/leads/broken.csv"]
    assert len(loaded["problems"]) == 1


def test_a_failure_is_told_even_when_its_rows_cannot_be_had(built: Settings) -> None:
    """Prevents a message about the message in the place of what went wrong."""
    for compiled in (built.home / "nothing.sql", built.home / "wrong.sql"):
        node = NodeResult(
            unique_id="test.one",
            name="one",
            resource_type="test",
            status="fail",
            seconds=0.0,
            message="Got 2 results",
            compiled_path=str(compiled),
            meaning="A returned row is wrong.",
            row_count=2,
        )
        (built.home / "wrong.sql").write_text("delete from seeds.tenants returning tenant_id")
        (told,) = _with_examples(built, (node,))
        assert told.explain() == (
            "one: Got 2 results. A returned row is wrong. "
            f"See the rows with: journey psql -f {compiled}"
        )


def covered(
    database: sqlalchemy.Engine,
    as_of: datetime = AS_OF,
    project: str | None = None,
    tables: Sequence[str] = (),
) -> Coverage | None:
    """What a build finds covered that begins now."""
    with building(database, as_of) as asking:
        return asking.coverage_before(project or project_fingerprint(), tables)


def test_a_build_goes_on_from_a_whole_one_at_no_later_instant(
    built_database: sqlalchemy.Engine,
) -> None:
    """Prevents builds that derive everything anew when nothing happened."""
    last_load = value_of(built_database, "select max(load_id) from ops.loads")
    with building(built_database, AS_OF) as following:
        assert following.coverage_before(project_fingerprint(), []) == Coverage(last_load, AS_OF)
        following.succeed("whole")
    assert covered(built_database, AS_OF + timedelta(days=1)) == Coverage(last_load, AS_OF)


def test_what_another_project_made_is_no_ground_to_go_on_from(
    built_database: sqlalchemy.Engine,
) -> None:
    """Prevents marts of which some rows follow the old rules and numbers, others the new."""
    assert covered(built_database, project="another project") is None


def test_what_describes_a_later_instant_is_no_ground_to_go_on_from(
    built_database: sqlalchemy.Engine,
) -> None:
    """Prevents a look into the past that knows what had not happened yet."""
    assert covered(built_database, AS_OF - timedelta(microseconds=1)) is None


@pytest.mark.parametrize("scope", ["none", "partial", "failed", "interrupted"])
def test_only_a_whole_build_that_succeeded_is_ground_to_go_on_from(
    built_database: sqlalchemy.Engine, scope: Literal["none", "partial", "failed", "interrupted"]
) -> None:
    """Prevents a gap: rows that were loaded, or half derived, by a build that nobody finished."""
    with building(built_database, AS_OF) as between:
        between.coverage_before(project_fingerprint(), [])
        if scope == "failed":
            between.fail("the disk is full")
        elif scope != "interrupted":
            between.succeed(scope)
    assert covered(built_database) is None


def test_a_build_that_ended_before_it_transformed_takes_no_ground_away(
    built_database: sqlalchemy.Engine,
) -> None:
    """Prevents hours of deriving everything anew because a check stopped an implausible load."""
    last_load = value_of(built_database, "select max(load_id) from ops.loads")
    with building(built_database, AS_OF) as stopped:
        stopped.fail("check_raw: implausible")
    with building(built_database, AS_OF) as loaded:
        loaded.succeed("none")
    assert covered(built_database) == Coverage(last_load, AS_OF)
    with building(built_database, AS_OF):
        """Interrupted: nobody knows how far it came."""
    assert covered(built_database) is None


@pytest.mark.parametrize(
    "statement",
    [
        "update intermediate.int_identity__derivation set as_of = as_of - interval '1 day'",
        "delete from intermediate.int_identity__derivation",
        "drop table intermediate.int_identity__derivation",
    ],
)
def test_tables_that_somebody_rebuilt_are_no_ground_to_go_on_from(
    built_database: sqlalchemy.Engine, statement: str
) -> None:
    """Prevents a build that trusts its records more than the tables which dbt alone has made."""
    change(built_database, statement)
    assert covered(built_database) is None


@pytest.mark.parametrize("table", ["marts.orders", "intermediate.int_customers__touched"])
def test_a_table_that_was_dropped_is_derived_anew_with_all_others(
    built: Settings, built_database: sqlalchemy.Engine, table: str
) -> None:
    """Prevents a mart that comes back with the rows of the customers whom the build touched, and
    without those of all others."""
    tables = table_names(load_manifest_json(built))
    assert table in tables
    with building(built_database, AS_OF) as following:
        assert following.coverage_before(project_fingerprint(), tables) is not None
        following.succeed("whole")
    change(built_database, f"drop table {table} cascade")
    assert covered(built_database, tables=tables) is None


def test_rows_that_somebody_took_away_are_missed_and_come_back(
    built: Settings, built_database: sqlalchemy.Engine, hash_tables: HashTables
) -> None:
    """Prevents a mart that somebody emptied by hand and that stays empty, build after build, while
    messages leave on its word; and a memory that is lost without anyone being told."""
    before = hash_tables(built_database, ("marts", "sync"))
    spells = "marts.segment_memberships"
    with built_database.begin() as connection:
        connection.exec_driver_sql(f"create table ops.put_aside as table {spells}")
    change(built_database, "truncate marts.customers")
    change(built_database, f"delete from {WINBACK} where tenant_id = 'aurora'")
    change(built_database, f"delete from {spells} where tenant_id = 'aurora'")
    words = f"{spells} lost rows by hand: delete by journey_owner at 20"
    with pytest.raises(GateClosed, match=f"Since the latest build .*{words}"):
        deliver(built)
    assert words in CliRunner().invoke(app, ["status"]).stderr

    # what no build can derive again is a matter for people
    report = build(built, AS_OF)
    assert report.build.verdict == "failed"
    (error,) = report.errors
    assert words in error
    told = error.partition('journey psql -c "')[2].partition('"')[0]
    change(
        built_database, f"insert into {spells} select * from ops.put_aside except table {spells}"
    )
    change(built_database, told)
    assert value_of(built_database, "select count(*) from ops.lost_rows") == 2

    with building(built_database, AS_OF) as mending:
        assert mending.coverage_before(project_fingerprint(), []) is None
        models = ["resource_type:seed", "resource_type:model"]
        report = transform(built, AS_OF, select=models, with_tests_of_selected=False)
        report.require_success()
        change(built_database, "delete from marts.orders where false")
        mending.succeed("whole")
    assert hash_tables(built_database, ("marts", "sync")) == before
    # the one after the build looked is left to the next
    left = "select string_agg(relation, ', ') from ops.lost_rows"
    assert value_of(built_database, left) == "marts.orders"


def test_every_table_that_is_kept_between_builds_notes_its_losses(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a new mart, or a new memory of what customers were, of which nobody notices that it
    was emptied."""
    kept = {
        f"{node['schema']}.{node['alias']}"
        for node in load_manifest_json(built)["nodes"].values()
        if node["config"].get("materialized") == "incremental"
    }
    assert {"marts.orders", WINBACK, "intermediate.int_identity__people"} < kept
    for table in sorted(kept):
        change(built_database, f"truncate {table}")
    noted = "select array_agg(distinct relation) from ops.lost_rows where operation = 'truncate'"
    assert value_of(built_database, noted) == sorted(kept)


def test_a_clock_that_was_set_back_leaves_the_builds_in_their_order(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents messages on the word of a build that is no longer the latest one, and rows that are
    skipped because an older build is taken for the one before."""
    change(
        built_database,
        "update ops.builds set started_at = started_at + interval '1 day', "
        "finished_at = finished_at + interval '1 day'",
    )
    with building(built_database, AS_OF) as broken_off:
        broken_off.coverage_before(project_fingerprint(), [])
    record = broken_off.record
    assert record.finished_at is not None
    assert record.finished_at >= record.started_at > datetime.now(UTC)
    with built_database.connect() as connection:
        latest = latest_build(connection)
    assert latest is not None
    assert latest.build_id == record.build_id
    with pytest.raises(GateClosed, match="was interrupted"):
        deliver(built)
    assert covered(built_database) is None
    with building(built_database) as following:
        pass
    assert following.record.as_of <= datetime.now(UTC) < following.record.started_at


def test_the_fingerprint_changes_with_every_rule_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a changed seed, model or macro that reaches only the customers of the next load."""
    monkeypatch.setattr(transform_module, "DBT_FOLDERS", (tmp_path,))
    monkeypatch.setattr(transform_module, "PROJECT_ROOT", tmp_path)
    seen = {project_fingerprint()}
    for name, text in (
        ("seed.csv", "id\n1\n"),
        ("seed.csv", "id\n2\n"),
        ("model.sql", "select 1"),
        ("renamed.sql", "select 1"),
    ):
        (tmp_path / name).write_text(text)
        seen.add(project_fingerprint())
    assert len(seen) == 5


def test_a_second_build_derives_nobody_anew_and_guards_its_scratch_tables(
    built: Settings, built_database: sqlalchemy.Engine, hash_tables: HashTables
) -> None:
    """Prevents builds whose cost is that of the whole warehouse, a mart emptied by a model that
    takes what the last build touched for everything, a selection of more than 200 nodes that is cut
    short, and messages from marts of different instants."""
    before = hash_tables(built_database, ("marts", "sync"))
    assert build(built, AS_OF).succeeded
    derived = "select is_whole_derivation from intermediate.int_identity__derivation"
    assert value_of(built_database, derived) is False
    for scratch in ("int_customers__touched", "int_identity__owners", "int_customers__metrics"):
        assert value_of(built_database, f"select count(*) from intermediate.{scratch}") == 0
    assert hash_tables(built_database, ("marts", "sync")) == before

    alone = transform(built, AS_OF, select=["customers"], with_tests_of_selected=False)
    (refused,) = alone.failures
    assert "cannot be built by itself now" in refused.message
    assert "journey build --select customers" in refused.message
    assert hash_tables(built_database, ("marts", "sync")) == before

    report = build(built, AS_OF, select="customers path:models/sync resource_type:seed")
    assert (report.build.verdict, report.build.scope) == ("succeeded", "partial")
    assert report.succeeded
    models = report.seconds_per_model
    assert len(models) + sum(report.tests.values()) > 200
    assert {
        *("tenants", "stg_leads__leads", "int_identity__owners", "int_customers__metrics"),
        *("customers", "sync_klaviyo__loyalty_events"),
    } <= set(models)
    assert "stage_transitions" not in models
    assert value_of(built_database, derived) is True
    assert hash_tables(built_database, ("marts", "sync")) == before
    assert report.written == {}
    with pytest.raises(GateClosed, match="only a part"):
        deliver(built)
    assert covered(built_database) is None


def test_a_selection_of_nothing_says_so(built: Settings) -> None:
    """Prevents a typing error that passes for a successful build."""
    with pytest.raises(TransformError, match="custmers"):
        build(built, AS_OF, select="custmers")
    with pytest.raises(TransformError, match="custmers"):
        transform(built, AS_OF, select=["custmers"])


def test_dbt_runs_without_dagster(built: Settings, built_database: sqlalchemy.Engine) -> None:
    """Prevents a transformation that only Dagster can start."""
    change(built_database, "drop table seeds.tenants cascade")
    report = transform(built, AS_OF, select=["tenants"], with_tests_of_selected=False)
    assert report.succeeded
    names = [node.name for node in report.nodes if node.resource_type != "operation"]
    assert names == ["tenants"]
    assert value_of(built_database, "select count(*) from seeds.tenants") == 3


def test_a_dry_run_twice_writes_the_same_and_records_nothing_new(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents outputs that depend on the run, and outbox rows that pile up."""
    change(built_database, "truncate outbox.deliveries")
    first = deliver(built)
    files = files_below(built.home / "outbox")
    assert first.total("written") == first.total("recorded") > 0
    count = "select count(*) from outbox.deliveries where state = 'dry_run'"
    assert value_of(built_database, count) == first.total("recorded")
    kept = "select md5(string_agg(d::text, ',' order by message_id)) from outbox.deliveries as d"
    before = value_of(built_database, kept)
    second = deliver(built)
    assert second.total("written") == first.total("written")
    assert second.total("recorded") == 0
    assert files_below(built.home / "outbox") == files
    assert value_of(built_database, kept) == before
    written = sum(
        len(path.read_text().splitlines()) for path in (built.home / "outbox").rglob("*.jsonl")
    )
    assert written == first.total("written")


def test_a_dry_run_leaves_the_state_of_sent_messages_alone(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a dry run that forgets what was really sent."""
    deliver(built)
    change(built_database, "update outbox.deliveries set state = 'accepted', reason = 'sent'")
    deliver(built)
    assert value_of(built_database, "select count(distinct state) from outbox.deliveries") == 1


def test_messages_wait_until_their_time_and_expire_after_it(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a message a moment too early or too late."""
    before = deliver(built, outputs=["winback"])
    assert before.total("written") >= 4
    moments = {
        "not_before = timestamptz '2026-07-01 00:00:00.000001+00'": ("waiting", 0),
        "not_before = timestamptz '2026-07-01 00:00:00+00'": ("written", 1),
        "expires_at = timestamptz '2026-07-01 00:00:00+00'": ("expired", 2),
        "expires_at = timestamptz '2026-07-01 00:00:00.000001+00'": ("written", 3),
    }
    long_ago = "timestamptz '2026-01-01 00:00:00+00'"
    change(built_database, f"update {WINBACK} set not_before = {long_ago}, expires_at = null")
    for moment, (_, place) in moments.items():
        change(
            built_database,
            f"update {WINBACK} set {moment} where message_id = "
            f"(select message_id from {WINBACK} order by message_id offset {place} limit 1)",
        )
    total = value_of(built_database, f"select count(*) from {WINBACK}")
    after = deliver(built, outputs=["winback"])
    assert (after.total("waiting"), after.total("expired")) == (1, 1)
    assert after.total("written") == int(str(total)) - 2


def test_one_tenant_only(built: Settings, built_database: sqlalchemy.Engine) -> None:
    """Prevents a dry run for one tenant that touches the files or messages of another."""
    deliver(built)
    everyone = files_below(built.home / "outbox")
    change(built_database, "truncate outbox.deliveries")
    report = deliver(built, tenant="aurora")
    assert {purpose.tenant_id for purpose in report.purposes} == {"aurora"}
    tenants = "select string_agg(distinct tenant_id, ',') from outbox.deliveries"
    assert value_of(built_database, tenants) == "aurora"
    assert files_below(built.home / "outbox") == everyone
    with pytest.raises(DeliveryError, match="no tenant 'nobody'; known: aurora"):
        deliver(built, tenant="nobody")


def test_a_name_that_leads_elsewhere_is_refused(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a sync model that writes outside of the outbox folder."""
    change(built_database, f"update {WINBACK} set purpose = '../../../escaped'")
    with pytest.raises(DeliveryError, match="cannot be a folder"):
        deliver(built)
    assert not list(built.home.parent.rglob("escaped*"))


def test_before_the_first_build_there_is_nothing_to_deliver(settings: Settings) -> None:
    """Prevents a delivery from an empty warehouse that looks like a success."""
    with pytest.raises(GateClosed, match="no build yet"):
        deliver(settings)


def test_the_default_instant_is_the_start_of_the_build(
    built: Settings, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a build that sees events from while it ran."""
    earliest = datetime.now(UTC)
    with building(built_database) as build_:
        pass
    assert earliest <= build_.record.as_of == build_.record.started_at
