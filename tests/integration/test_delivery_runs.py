"""A delivery from the command line, which is a run of the output assets in Dagster's records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from orchestration.activation.deliver import DeliveryError, deliver
from orchestration.activation.gate import GateClosed
from orchestration.activation.message import OUTPUTS
from orchestration.cli import main
from orchestration.defs import outputs
from orchestration.defs.automation import JOB
from orchestration.defs.failures import DELIVERY_TAG, delivery_lock, end_dead_runs
from orchestration.defs.run import run_outputs
from orchestration.services import prepare_dagster_home
from orchestration.settings import Settings
from orchestration.warehouse.builds import building
from orchestration.warehouse.database import engine


def deliveries(settings: Settings) -> Sequence[dg.DagsterRun]:
    """The runs of `journey deliver`, the latest first."""
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(settings))) as instance:
        return instance.get_runs(dg.RunsFilter(tags=DELIVERY_TAG))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_ui_sees_the_delivery_and_what_each_output_wrote(
    built: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents messages that left without a trace in the UI, or another count there."""
    with pytest.raises(SystemExit) as ended:
        main(["deliver", "--json"])
    captured = capsys.readouterr()
    assert (ended.value.code or 0, captured.err) == (0, "")
    report = json.loads(captured.out)
    (run,) = deliveries(built)
    assert run.is_success
    assert {key.to_user_string() for key in run.asset_selection or ()} == {
        outputs.EXPORT_ASSET,
        *(f"{output}_outputs" for output in OUTPUTS),
    }
    with dg.DagsterInstance.from_config(str(built.home / "dagster")) as instance:
        entries = instance.all_logs(run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = [entry.asset_materialization for entry in entries if entry.asset_materialization]
    assert {one.asset_key.to_user_string() for one in made} == {
        f"{output}_outputs" for output in OUTPUTS
    }
    assert any(purpose["written"] for purpose in report["purposes"])
    for one in made:
        purposes = [
            purpose
            for purpose in report["purposes"]
            if one.asset_key.to_user_string() == f"{purpose['output']}_outputs"
        ]
        assert one.metadata["written"].value == sum(purpose["written"] for purpose in purposes)
        assert one.metadata["build_id"].value == report["build_id"]


def test_a_delivery_is_what_the_plain_function_does(built: Settings) -> None:
    """Prevents a second way of delivering, whose files or report differ."""
    run_outputs(built)
    through_dagster = contents(built.home / "outbox")
    assert deliver(built) == run_outputs(built)
    assert contents(built.home / "outbox") == through_dagster


def test_only_the_files_of_the_tenant_are_replaced(built: Settings) -> None:
    """Prevents a delivery for one tenant that renews, or removes, what another one has."""
    folder = run_outputs(built).folder
    before = contents(folder)
    others = {name for name in before if "/aurora/" not in name}
    assert others
    assert others < set(before)
    for name in before:
        (folder / name).write_text("of yesterday")
    report = run_outputs(built, "aurora")
    assert {purpose.tenant_id for purpose in report.purposes} == {"aurora"}
    for name, content in contents(folder).items():
        assert content == (b"of yesterday" if name in others else before[name])


def test_a_closed_gate_is_one_message_and_a_failed_run(
    built: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents messages on the word of a broken build, and a refusal buried in tracebacks."""
    database = engine(built)
    with building(database) as opened:
        opened.fail("assert_this: 1 row")
    database.dispose()
    with pytest.raises(SystemExit) as ended:
        main(["deliver"])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("nothing is delivered") == 1
    assert "assert_this: 1 row" in captured.err
    assert "Traceback" not in captured.err
    (run,) = deliveries(built)
    assert run.is_failure
    assert contents(built.home / "outbox") == {}
    with pytest.raises(GateClosed):
        run_outputs(built)


def test_an_unknown_tenant_is_refused_by_name(built: Settings) -> None:
    """Prevents a slip of the pen that delivers nothing and looks like a success, or that shows the
    outputs as failed."""
    with pytest.raises(DeliveryError, match="no tenant 'nobody'; known: aurora"):
        run_outputs(built, "nobody")
    assert deliveries(built) == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), dg.DagsterExecutionInterruptedError()])
def test_an_interrupted_delivery_says_so(
    built: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    interrupt: BaseException,
) -> None:
    """Prevents a Ctrl-C that ends as a success, or in a stack trace of Dagster's."""

    def interrupted(*_: object) -> None:
        raise interrupt

    monkeypatch.setattr(outputs, "deliver", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["deliver"])
    assert ended.value.code == 130
    captured = capsys.readouterr()
    assert captured.err.strip().startswith("Interrupted.")
    assert "Traceback" not in captured.err
    (run,) = deliveries(built)
    assert run.is_finished


def test_a_killed_delivery_is_ended_by_the_next_one(built: Settings) -> None:
    """Prevents a dead run that stands as started for ever, so that the daemon launches none, and
    a living one that is taken for dead."""
    dead = dg.DagsterRun(job_name="any", status=dg.DagsterRunStatus.STARTED, tags=DELIVERY_TAG)
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(built))) as instance:
        instance.add_run(dead)
        with delivery_lock(built):
            assert not end_dead_runs(instance, built, JOB)
        run_outputs(built)
        ended = instance.get_run_by_id(dead.run_id)
    assert ended is not None
    assert ended.is_failure


def test_a_database_without_our_tables_has_no_build_yet(
    empty_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents a stack trace for whoever delivers from a database that was never brought up."""
    monkeypatch.setenv("JOURNEY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JOURNEY_DATABASE_URL", empty_database)
    with pytest.raises(SystemExit) as ended:
        main(["deliver"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("There is no build yet")
