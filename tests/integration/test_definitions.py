"""What Dagster shows: every source, model, test and output, and when it builds."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from orchestration import transform
from orchestration.activation.message import OUTPUTS
from orchestration.build import BuildReport
from orchestration.definitions import make_definitions
from orchestration.defs.automation import landing_sensor
from orchestration.defs.dbt_events import attach_singular_tests
from orchestration.defs.outputs import EXPORT_ASSET
from orchestration.ingest.contracts import read_contracts
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.transform import load_manifest, load_manifest_json
from orchestration.warehouse.builds import building, latest_build
from orchestration.warehouse.database import engine

LAYERS = {"raw", "seeds", "staging", "intermediate", "marts", "sync", "outbox", "outputs"}
"""Groups of the asset graph."""


@pytest.fixture
def settings(settings: Settings, warehouse: tuple[Path, BuildReport]) -> Settings:
    """Settings of an empty warehouse whose project was parsed already."""
    template, _ = warehouse
    shutil.copytree(template / "dbt", settings.home / "dbt")
    return settings


def test_every_model_is_an_asset_and_every_data_test_a_check(settings: Settings) -> None:
    """Prevents a table that is built, or a rule that is tested, without anyone seeing it."""
    manifest = load_manifest_json(settings)
    start = time.process_time()
    definitions = make_definitions(settings)
    graph = definitions.resolve_asset_graph()
    assert time.process_time() - start < 5
    names = {key.path[-1] for key in graph.get_all_asset_keys()}
    nodes = manifest["nodes"].values()
    tables = {node["name"] for node in nodes if node["resource_type"] in ("model", "seed")}
    sources = {source["name"] for source in manifest["sources"].values()}
    assert names == tables | sources | {EXPORT_ASSET, *(f"{output}_outputs" for output in OUTPUTS)}
    tests = {node["name"] for node in nodes if node["resource_type"] == "test"}
    checks = {key.name: key for key in graph.asset_check_keys}
    assert set(checks) == tests | {"expectations", "freshness"}
    assert manifest["unit_tests"]
    for node in nodes:
        if node["resource_type"] == "test":
            check = graph.get(checks[node["name"]])
            assert check.blocking is (node["config"]["severity"].lower() == "error")


def test_every_source_and_message_is_held_against_expectations(settings: Settings) -> None:
    """Prevents a source or sync model that slips through a boundary, and a check of one that lets
    the steps after it begin before it has ended."""
    graph = make_definitions(settings).resolve_asset_graph()
    contracts = read_contracts(DBT_PROJECT_DIR)
    raw = {dg.AssetKey(["raw", source]) for source in contracts}
    sync = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "sync"}
    checks = {(key.asset_key, key.name): graph.get(key) for key in graph.asset_check_keys}
    expected = {key for key, name in checks if name == "expectations"}
    assert expected == raw | sync
    assert all(checks[key, "expectations"].blocking for key in expected)
    assert {key for key, name in checks if name == "freshness"} == raw
    for key in graph.get_all_asset_keys():
        asset = graph.get(key)
        reads_marts = any(graph.get(one).group_name == "marts" for one in asset.parent_keys)
        if asset.group_name in ("outbox", "outputs") and reads_marts:
            # the build has its verdict only when its messages are checked
            assert sync <= asset.parent_keys


def test_marts_and_messages_have_a_time_by_which_they_are_built(settings: Settings) -> None:
    """Prevents dashboards that show last week without a word in the UI."""
    graph = make_definitions(settings).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        asset = graph.get(key)
        policy = asset.freshness_policy
        if asset.group_name in ("marts", "sync"):
            assert isinstance(policy, TimeWindowFreshnessPolicy)
            assert policy.fail_window.to_timedelta() == timedelta(hours=26)
            assert policy.warn_window is not None
            assert policy.warn_window.to_timedelta() == timedelta(hours=24)
        else:
            assert policy is None


def test_the_graph_leads_from_files_to_outputs(settings: Settings) -> None:
    """Prevents raw tables and outputs that stand apart from the models between them."""
    graph = make_definitions(settings).resolve_asset_graph()
    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} == LAYERS
    upstream = dg.AssetSelection.assets("winback_outputs").upstream().resolve(graph)
    assert {dg.AssetKey(["raw", "shopify_orders"]), dg.AssetKey(["marts", "customers"])} <= upstream
    for key in graph.get_all_asset_keys():
        is_end = graph.get(key).group_name in ("outputs", "outbox")
        assert is_end or graph.get(key).is_executable


def test_everything_that_the_ui_lists_explains_itself(settings: Settings) -> None:
    """Prevents an asset, a schedule or a sensor whose purpose a newcomer has to guess."""
    definitions = make_definitions(settings)
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert {key for key in keys if not graph.get(key).description} == set()
    assert {key for key in keys if not graph.get(key).kinds} == set()
    automations = [*(definitions.schedules or []), *(definitions.sensors or [])]
    assert [one.name for one in automations if not one.description] == []


def test_builds_run_hourly_nightly_and_when_files_land(settings: Settings) -> None:
    """Prevents a warehouse that nobody refreshes, and one that refreshes itself unasked."""
    definitions = make_definitions(settings)
    for name, cron in (("hourly_build", "30 * * * *"), ("nightly_build", "0 2 * * *")):
        schedule = definitions.resolve_schedule_def(name)
        assert schedule.cron_schedule == cron
        assert schedule.job_name == "warehouse_build"
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    landing = definitions.resolve_sensor_def("landing_files")
    assert landing.job_name == "warehouse_build"
    assert landing.default_status is dg.DefaultSensorStatus.STOPPED


def test_dead_runs_end_while_the_daemon_runs(settings: Settings) -> None:
    """Prevents a killed run that keeps the daemon from launching anything ever again."""
    sensor = make_definitions(settings).resolve_sensor_def("dead_runs")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    database = engine(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        dead = dg.DagsterRun(job_name="warehouse_build", status=dg.DagsterRunStatus.STARTED)
        waiting = dg.DagsterRun(job_name="warehouse_build", status=dg.DagsterRunStatus.NOT_STARTED)
        starting = dg.DagsterRun(job_name="warehouse_build", status=dg.DagsterRunStatus.STARTING)
        for run in (dead, waiting, starting):
            instance.add_run(run)

        def statuses() -> list[str]:
            found = [instance.get_run_by_id(run.run_id) for run in (dead, waiting, starting)]
            return [run.status.value for run in found if run is not None]

        with building(database), dg.build_sensor_context(instance=instance) as context:
            sensor.evaluate_tick(context)
        assert statuses() == ["STARTED", "NOT_STARTED", "STARTING"]
        with dg.build_sensor_context(instance=instance) as context:
            sensor.evaluate_tick(context)
        assert statuses() == ["FAILURE", "NOT_STARTED", "STARTING"]
    database.dispose()


def test_a_load_by_itself_succeeds_and_vouches_for_nothing(settings: Settings) -> None:
    """Prevents a load from the UI that is recorded as interrupted, or that opens the gate."""
    definitions = make_definitions(settings)
    graph = definitions.resolve_asset_graph()
    raw = dg.AssetSelection.groups("raw").resolve(graph)
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("warehouse_build").execute_in_process(
            instance=instance, asset_selection=sorted(raw)
        )
    assert result.success
    database = engine(settings)
    with database.connect() as connection:
        latest = latest_build(connection)
    database.dispose()
    assert latest is not None
    assert (latest.verdict, latest.scope) == ("succeeded", "none")


def test_the_sensor_asks_once_for_files_that_stopped_growing(settings: Settings) -> None:
    """Prevents a build of half a file, and a build per look at the same files."""
    sensor = landing_sensor(settings)
    folder = Path(settings.landing) / "aurora" / "leads"
    folder.mkdir(parents=True)
    cursor: str | None = None
    asked = []
    for content in (None, "id\n", "id\n1\n", "id\n1\n", "id\n1\n", "id\n1\n2\n", "id\n1\n2\n"):
        if content is not None:
            (folder / "all.csv").write_text(content)
        with dg.build_sensor_context(cursor=cursor) as context:
            result = sensor.evaluate_tick(context)
        cursor = result.cursor
        asked.append(len(result.run_requests or []))
    assert asked == [0, 0, 0, 1, 0, 0, 1]


def test_the_project_is_parsed_only_when_a_file_changed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents both a stale manifest and the seconds that parsing costs on every start."""
    state = ["one"]
    monkeypatch.setattr(transform, "_state_of_files", lambda: state[0])
    load_manifest(settings)
    parsed = settings.home / "dbt" / "parsed.json"
    first = parsed.stat().st_mtime_ns
    load_manifest_json(settings)
    assert parsed.stat().st_mtime_ns == first
    state[0] = "another"
    load_manifest_json(settings)
    assert parsed.stat().st_mtime_ns != first


def test_a_check_on_several_models_hangs_on_the_last_of_them() -> None:
    """Prevents a test across models that Dagster does not show, or runs before its models."""
    model = {"resource_type": "model", "config": {}}
    check = {"resource_type": "test", "config": {}, "attached_node": None}
    manifest = {
        "nodes": {
            "model.early": {**model, "name": "early"},
            "model.late": {**model, "name": "late"},
            "model.also_late": {**model, "name": "also_late"},
            "test.chain": {**check, "config": {}, "name": "chain"},
            "test.fork": {**check, "config": {}, "name": "fork"},
        },
        "parent_map": {
            "model.early": [],
            "model.late": ["model.early"],
            "model.also_late": ["model.early"],
            "test.chain": ["model.late", "model.early"],
            "test.fork": ["model.late", "model.also_late", "model.early"],
        },
    }
    attached = attach_singular_tests(manifest)["nodes"]
    assert attached["test.chain"]["config"]["meta"]["dagster"]["ref"] == {"name": "late"}
    assert attached["test.fork"]["config"]["meta"]["dagster"]["ref"] == {"name": "also_late"}
