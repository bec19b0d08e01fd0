"""What the checks at the two boundaries find in dirty data, and pass over in clean data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
from typer.testing import CliRunner

from orchestration.activation.deliver import deliver
from orchestration.activation.gate import GateClosed
from orchestration.build import build
from orchestration.cli import app
from orchestration.quality import boundaries
from orchestration.quality.boundaries import check_raw, check_sync
from orchestration.quality.report import Failure, QualityFailed
from orchestration.settings import SEEDS_DIR, Settings
from orchestration.warehouse.database import engine

WINBACK = "sync_klaviyo__winback_events"
NOW = datetime.now(UTC)
SAMPLE_AS_OF = "2026-07-01T00:00:00Z"


@pytest.fixture
def dirty(built: Settings) -> Iterator[sqlalchemy.Engine]:
    """A built warehouse to spoil."""
    made = engine(built)
    yield made
    made.dispose()


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rules that a test may change."""
    copy = Path(shutil.copytree(SEEDS_DIR, tmp_path / "seeds"))
    monkeypatch.setattr(boundaries, "SEEDS_DIR", copy)
    return copy


def spoil(database: sqlalchemy.Engine, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount != 0, statement


def forget_the_build(database: sqlalchemy.Engine) -> None:
    """As before the first build: every row is new."""
    spoil(database, "update ops.builds set verdict = 'failed'")


def status(*options: str) -> str:
    """What `journey status` says, warnings included."""
    result = CliRunner().invoke(app, ["status", *options])
    assert result.exit_code == 0, result.output
    return result.output


def told(failures: tuple[Failure, ...]) -> list[tuple[str, str, str, str]]:
    return [(one.table, one.tenant_id, one.severity, one.expected) for one in failures]


def look(database: sqlalchemy.Engine, failure: Failure) -> int:
    """How many rows the query shows that a failure names."""
    with database.connect() as connection:
        return len(connection.exec_driver_sql(failure.look.replace("%", "%%")).all())


def test_a_sound_warehouse_is_as_expected(dirty: sqlalchemy.Engine) -> None:
    """Prevents: checks that cry at the sample, or at a first build that has no history."""
    forget_the_build(dirty)
    raw = check_raw(dirty, NOW)
    assert (raw.failures, raw.late) == ((), {})
    # the shared sample has no requests to be forgotten, and of an empty source nothing is asked
    assert raw.expectations.pop("raw.erasure_requests") == 0
    assert min(raw.expectations.values()) >= 4
    sync = check_sync(dirty)
    assert sync.failures == ()
    assert set(sync.expectations.values()) == {12}


def test_nothing_new_and_nothing_at_all_are_no_faults(
    dirty: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a build that fails because a source brought nothing, and one that takes seconds
    to find that out."""
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    raw = check_raw(dirty, NOW)
    assert raw.failures == ()
    assert set(raw.expectations.values()) == {0}
    monkeypatch.undo()
    spoil(dirty, "delete from raw.shop_orders where true", "delete from ops.loads where true")
    forget_the_build(dirty)
    assert check_raw(dirty, NOW, ["shop_orders"]).failures == ()


RAW_FAULTS = {
    "filled": (
        "update raw.touchpoints set channel = ' ' where tenant_id = 'aurora' and mod(_line, 3) = 0",
        ("raw.touchpoints", "aurora", "warn", "channel is filled in at least 80 % of the rows"),
    ),
    "between": (
        "update raw.shopify_orders set total_price = total_price * 10000 where total_price > 0",
        (
            "raw.shopify_orders",
            "aurora",
            "error",
            "total_price is from 0 to 10000 in at least 95 % of the rows",
        ),
    ),
    "one_of": (
        "update raw.shop_orders set payment_method = 'MoMo' where payment_method <> 'cash'",
        (
            "raw.shop_orders",
            "kente",
            "warn",
            "payment_method is one of cash, mobile_money, card in at least 90 % of the rows",
        ),
    ),
    "refers_to": (
        "update raw.eventbrite_attendees set order_id = 'lost-' || order_id",
        (
            "raw.eventbrite_attendees",
            "bluegum",
            "error",
            "order_id stands in eventbrite_orders.id in at least 50 % of the rows",
        ),
    ),
    "fits_contract": (
        "update ops.loads set rows_loaded = 0, rows_rejected = rows_read - rows_unchanged "
        "where source = 'touchpoints' and tenant_id = 'bluegum'",
        ("raw.touchpoints", "bluegum", "error", "at least 50 % of the rows fit the contract"),
    ),
}


@pytest.mark.parametrize("rule", RAW_FAULTS)
def test_new_rows_that_break_a_rule_are_told_for_their_tenant(
    dirty: sqlalchemy.Engine, rule: str
) -> None:
    """Prevents: an export in another unit, without its keys, or of another form that goes into
    everybody's numbers."""
    statement, expected = RAW_FAULTS[rule]
    forget_the_build(dirty)
    source = expected[0].removeprefix("raw.")
    assert check_raw(dirty, NOW, [source]).failures == ()
    spoil(dirty, statement)
    report = check_raw(dirty, NOW, [source])
    assert expected in told(report.failures)
    failure = next(one for one in report.failures if told((one,)) == [expected])
    assert re.fullmatch(r"\d+\.\d%", failure.found)
    assert failure.mend.startswith("Land the rows again, corrected")
    assert "seeds/quality_rules.csv line " in failure.mend
    if rule != "fits_contract":
        assert look(dirty, failure) > 0
        assert re.fullmatch(r"\w+/\w+/\S+ line \d+", failure.examples[0])
    if expected[2] == "error":
        with pytest.raises(QualityFailed, match=re.escape(f"expected that {expected[3]}; found")):
            report.require_success()
    else:
        report.require_success()
        assert any(expected[3] in words for words in report.to_dict()["warnings"])


def test_only_rows_since_the_last_good_build_are_judged(dirty: sqlalchemy.Engine) -> None:
    """Prevents: a fault that is asked about for ever, and one that hides among old rows."""
    statement, expected = RAW_FAULTS["between"]
    spoil(dirty, statement)
    assert check_raw(dirty, NOW, ["shopify_orders"]).failures == ()
    forget_the_build(dirty)
    assert expected in told(check_raw(dirty, NOW, ["shopify_orders"]).failures)
    spoil(dirty, "update raw.shopify_orders set _is_current = false where total_price > 100000")
    spoil(dirty, "update raw.shopify_orders set _is_current = false where total_price > 10000")
    assert check_raw(dirty, NOW, ["shopify_orders"]).failures == ()


@pytest.mark.parametrize(("rows", "words"), [(2, "least 0.1"), (90_000, "most 10"), (400, None)])
def test_a_load_of_an_unusual_size_is_told(
    dirty: sqlalchemy.Engine, rows: int, words: str | None
) -> None:
    """Prevents: an export that was cut off, or that holds everything twice, without a word."""
    load = (
        "insert into ops.loads (tenant_id, source, file, sha256, bytes, status, rows_read, "
        "rows_loaded, started_at, finished_at) values ('{}', 'touchpoints', '{}', '{}', 1, "
        "'loaded', {}, {}, now(), now())"
    )
    spoil(dirty, "delete from ops.loads where source = 'touchpoints'")
    for number in range(3):
        spoil(dirty, load.format("aurora", f"old-{number}", number, 400, 400))
    spoil(dirty, load.format("bluegum", "old", "b", 400, 400))
    with dirty.begin() as connection:
        connection.exec_driver_sql(
            "update ops.builds set details = jsonb_set(details, '{covers,load_id}', "
            "(select to_jsonb(max(load_id)) from ops.loads))"
        )
    spoil(dirty, load.format("aurora", "new.csv", "new", rows, rows))
    # two loads are no history
    spoil(dirty, load.format("bluegum", "other.csv", "other", rows, rows))
    failures = check_raw(dirty, NOW, ["touchpoints"]).failures
    assert [one.tenant_id for one in failures] == ([] if words is None else ["aurora"])
    for failure in failures:
        assert failure.severity == "warn"
        assert failure.expected == f"a load has at {words} times the usual rows"
        assert failure.examples == (f"new.csv rows_read {rows}",)
        assert look(dirty, failure) == 1


SYNC_FAULTS = {
    "null key": (
        f"update sync.{WINBACK} set operation = null",
        "every message has its operation",
    ),
    "payload is no object": (
        f"update sync.{WINBACK} set payload = '[]'",
        "the payload has what its destination needs",
    ),
    "payload without its metric": (
        f"update sync.{WINBACK} set payload = payload #- '{{data,attributes,metric}}'",
        "the payload has what its destination needs",
    ),
    "payload without an address": (
        f"update sync.{WINBACK} set payload = jsonb_set(payload, "
        "'{data,attributes,profile,data,attributes}', '{}')",
        "the payload has what its destination needs",
    ),
    "payload under another id": (
        f"update sync.{WINBACK} set payload = jsonb_set(payload, "
        "'{data,attributes,unique_id}', '\"another\"')",
        "the payload has what its destination needs",
    ),
    "unknown destination": (
        f"update sync.{WINBACK} set destination = 'fax'",
        "the payload has what its destination needs",
    ),
    "unsubscribed": (
        "update marts.customers set email_subscribed = false",
        "marketing goes to people who want it and can get it",
    ),
    "suppressed": (
        "update marts.customers set is_email_suppressed = true",
        "marketing goes to people who want it and can get it",
    ),
    "unknown customer": (
        f"update sync.{WINBACK} set customer_id = 'nobody'",
        "marketing goes to people who want it and can get it",
    ),
    "held out": (
        "update seeds.winback_campaign_definitions set holdout_percent = 100",
        "nobody who is held out gets a message",
    ),
    "expired before it begins": (
        f"update sync.{WINBACK} set expires_at = not_before",
        "no message expires before it may be sent",
    ),
}


@pytest.mark.parametrize("fault", SYNC_FAULTS)
def test_messages_that_must_not_leave_are_told(dirty: sqlalchemy.Engine, fault: str) -> None:
    """Prevents: a message that its destination refuses, or that reaches somebody who must not
    hear from us, although its model lets it pass."""
    statement, expected = SYNC_FAULTS[fault]
    assert check_sync(dirty, [WINBACK]).failures == ()
    spoil(dirty, statement)
    report = check_sync(dirty, [WINBACK])
    assert {one.expected for one in report.failures} == {expected}
    assert {one.severity for one in report.failures} == {"error"}
    failure = report.failures[0]
    assert re.fullmatch(r"\d+ do(es)? not", failure.found)
    assert re.fullmatch(r"[0-9a-f]{32} purpose winback", failure.examples[0])
    assert look(dirty, failure) == len(failure.examples)
    with pytest.raises(QualityFailed, match="Mend the model"):
        report.require_success()


def test_transactional_messages_need_no_consent(dirty: sqlalchemy.Engine) -> None:
    """Prevents: a customer who waits for a reward's code, and never gets it."""
    spoil(
        dirty,
        f"update sync.{WINBACK} set purpose = 'reward_code'",
        "update marts.customers set email_subscribed = false",
    )
    assert check_sync(dirty, [WINBACK]).failures == ()


def test_more_messages_than_the_rule_allows_are_told(dirty: sqlalchemy.Engine, seeds: Path) -> None:
    """Prevents: a mailing to everybody because of a join that multiplies."""
    rules = seeds / "quality_rules.csv"
    rules.write_text(
        rules.read_text().replace("messages_per_purpose,,100000", "messages_per_purpose,,1")
    )
    failures = check_sync(dirty, [WINBACK]).failures
    assert {one.expected for one in failures} == {"at most 1 messages of a purpose"}
    assert all(re.fullmatch(r"winback messages \d+", one.examples[0]) for one in failures)


def test_a_source_that_is_late_is_told_and_stops_nothing(dirty: sqlalchemy.Engine) -> None:
    """Prevents: numbers that silently stop moving because an export broke."""
    report = check_raw(dirty, NOW + timedelta(days=2), ["leads", "erasure_requests"])
    assert set(report.late) == {"leads"}
    report.require_success()
    (words,) = [one for one in report.late["leads"] if "of aurora" in one]
    assert "seeds/freshness.csv line 3" in words


def test_status_tells_what_is_late_and_what_the_last_build_warned_of(
    built: Settings, dirty: sqlalchemy.Engine
) -> None:
    """Prevents: a person who looks whether all is well, and is told that it is."""
    assert json.loads(status("--json"))["late"] == []
    spoil(
        dirty,
        "update ops.loads set finished_at = finished_at - interval '60 days' "
        "where source = 'leads' and tenant_id = 'aurora'",
        "update ops.builds set finished_at = finished_at - interval '2 days', details = jsonb_set("
        "details, '{quality,raw,warnings}', '[\"half of it is missing\"]')",
    )
    (build_words, source_words) = json.loads(status("--json"))["late"]
    assert build_words.startswith("marts and messages: the last whole build that succeeded ended")
    assert source_words.startswith("raw.leads of aurora: the last file came at")
    shown = status()
    assert "Warning: half of it is missing" in shown
    assert shown.count("Late: ") == 2


def test_the_library_neither_writes_files_nor_calls_anybody(dirty: sqlalchemy.Engine) -> None:
    """Prevents: a release of the library that phones home, or litters the home of its user."""
    program = """
import sys
from orchestration.quality.boundaries import check_sync
from orchestration.warehouse.database import engine
found = []
def listen(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        found.append(("open", str(arguments[0])))
    elif event in ("socket.connect", "os.mkdir"):
        found.append((event, str(arguments[1] if event == "socket.connect" else arguments[0])))
sys.addaudithook(listen)
assert check_sync(engine()).failures == ()
print([one for one in found if "__pycache__" not in one[1] and one[1] != "/dev/null"])
"""
    ran = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")


def test_implausible_rows_stop_a_build_before_anything_changes(
    built: Settings, dirty: sqlalchemy.Engine
) -> None:
    """Prevents: marts and messages made of an export that anybody can see is wrong."""
    forget_the_build(dirty)
    spoil(dirty, RAW_FAULTS["between"][0])
    report = build(built, SAMPLE_AS_OF)
    assert (report.build.verdict, report.succeeded, report.written) == ("failed", False, {})
    assert "transform" not in report.seconds_per_step
    words = "check_raw: raw.shopify_orders of aurora: expected that total_price is from 0 to 10000"
    assert str(report.build.error).startswith(words)
    assert report.quality["raw"]["errors"] == 1
    with pytest.raises(GateClosed, match="expected that total_price is from 0 to 10000"):
        deliver(built)


def test_a_broken_message_stops_everything_after_the_marts(
    built: Settings, dirty: sqlalchemy.Engine, seeds: Path
) -> None:
    """Prevents: outputs and decisions on the word of a build whose messages are wrong."""
    rules = seeds / "quality_rules.csv"
    rules.write_text(
        rules.read_text().replace("messages_per_purpose,,100000", "messages_per_purpose,,1")
    )
    spoil(dirty, "update ops.loads set finished_at = finished_at - interval '90 days'")
    report = build(built, SAMPLE_AS_OF)
    assert (report.build.verdict, report.written) == ("failed", {})
    assert str(report.build.error).startswith("check_sync: sync.")
    assert any("was due by" in words for words in report.warnings)
    with pytest.raises(GateClosed, match="at most 1 messages of a purpose"):
        deliver(built)
    with dg.DagsterInstance.from_config(str(built.dagster_home)) as instance:
        records = instance.all_logs(report.build.details["run_id"])
        happened = [record.dagster_event for record in records if record.dagster_event]
    checks = [
        event.asset_check_evaluation_data
        for event in happened
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    of_winback = [one for one in checks if one.asset_key.path == ["sync", WINBACK]]
    found = next(one for one in of_winback if one.check_name == "expectations")
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert "at most 1 messages of a purpose" in (found.description or "")
    assert json.dumps(found.metadata["broken"].value.records[0].data)
    late = [one for one in checks if one.check_name == "freshness" and not one.passed]
    assert late
    assert {one.severity for one in late} == {dg.AssetCheckSeverity.WARN}
    started = {event.step_key for event in happened if event.event_type_value == "STEP_START"}
    assert started == {
        "load_landing",
        "check_raw",
        "outbox__gift_codes",
        "dbt_build",
        "check_sync",
    }
