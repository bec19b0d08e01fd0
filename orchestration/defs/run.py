"""Runs from the command line: in this process, recorded where the UI looks.

What imports dagster-dbt, which takes seconds, is imported by the runs that need dbt.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg
import sqlalchemy
from dagster._core.instance.ref import InstanceRef

from orchestration.activation.deliver import DeliveryReport, require_tenant
from orchestration.activation.message import OUTPUTS, SYNC_SCHEMA
from orchestration.activation.report import SendReport
from orchestration.defs.automation import JOB
from orchestration.defs.failures import (
    DELIVERY_TAG,
    delivery_lock,
    end_dead_runs,
    innermost,
    is_interrupt,
)
from orchestration.defs.outputs import OUTPUTS_STEP, output_assets
from orchestration.services import prepare_dagster_home
from orchestration.settings import Settings
from orchestration.warehouse.errors import StorageError
from orchestration.warehouse.storage import require_room

NO_CAPTURE = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
"""The output of a step goes to the terminal alone: what captures it are two more programs, which
a Ctrl-C at the terminal reaches too."""
MINIMUM_FREE_BYTES = 64 * 1024**2
"""What dbt's artifacts, the records of a run and its logs need with room to spare."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class RunOutcome:
    """What became of a run."""

    run_id: str
    succeeded: bool
    errors: dict[str, str] = field(default_factory=dict)
    """The error of each step that failed by itself; '' stands for the run's start."""
    written: dict[str, int] = field(default_factory=dict)
    """Messages that each output wrote."""


def run_job(
    settings: Settings, as_of: datetime | None, *, full_refresh: bool, select: str | None
) -> RunOutcome:
    """Run the job to its end, whether it succeeds or not.

    Args:
        settings: where the warehouse and the Dagster home are.
        as_of: the instant to describe; the start of the run when not given.
        full_refresh: rebuild incremental models from nothing, where they allow it.
        select: a dbt selection; the outputs are left out then.

    Raises:
        KeyboardInterrupt: the run was interrupted; its build is recorded as such.
        TransformError: the project does not parse, or the selection matches nothing.
        StorageError: the home cannot be written, or is full.
    """
    from orchestration.definitions import make_definitions

    require_room_for_a_build(settings)
    definitions = make_definitions(settings)
    job = definitions.resolve_job_def(JOB)
    config = {"as_of": as_of.isoformat() if as_of else "", "full_refresh": full_refresh}
    with _instance(settings) as instance:
        result = job.execute_in_process(
            instance=instance,
            run_config={"resources": {"build": {"config": config}}, **QUIET},
            asset_selection=_selected(settings, definitions, select) if select else None,
            raise_on_error=False,
        )
    if any(is_interrupt(event) for event in result.all_events):
        raise KeyboardInterrupt
    outcome = RunOutcome(result.run_id, result.success)
    for event in result.all_events:
        if event.is_resource_init_failure:
            outcome.errors[""] = innermost(event.engine_event_data.error)
        elif event.is_step_failure:
            outcome.errors[event.step_key or ""] = innermost(event.step_failure_data.error)
        elif event.is_step_materialization and event.step_key == OUTPUTS_STEP:
            output = event.step_materialization_data.materialization
            written = int(str(output.metadata["written"].value))
            outcome.written[output.asset_key.to_user_string()] = written
    return outcome


def run_outputs(settings: Settings, tenant: str | None = None) -> DeliveryReport:
    """Describe what would be sent, by running the assets of all outputs.

    Args:
        settings: where the warehouse and the Dagster home are.
        tenant: only this tenant; everyone by default.

    Raises:
        GateClosed: the latest build did not succeed.
        DeliveryError: a message names a folder that cannot be, or the tenant is not known.
        DatabaseUnavailable: the database cannot be reached.
        StorageError: the home cannot be written, or is full.
        KeyboardInterrupt: the delivery was interrupted.
    """
    report = _run_outputs(settings, tenant, live=False)
    assert isinstance(report, DeliveryReport)
    return report


def run_live_outputs(settings: Settings, tenant: str) -> SendReport:
    """Send a tenant's messages by running the assets of all outputs.

    Raises:
        GateClosed: the latest build did not succeed, or is too old.
        SendingError: somebody else sends for the tenant, or a purpose is not declared.
        NotConnectable: the address of a destination cannot be used.
        DeliveryError: the tenant is not known.
        DatabaseUnavailable: the database cannot be reached.
        StorageError: the home cannot be written, or is full.
        KeyboardInterrupt: the delivery was interrupted.
    """
    report = _run_outputs(settings, tenant, live=True)
    assert isinstance(report, SendReport)
    return report


def _run_outputs(
    settings: Settings, tenant: str | None, *, live: bool
) -> DeliveryReport | SendReport:
    if tenant is not None:
        require_tenant(tenant)
    require_room(settings.home, MINIMUM_FREE_BYTES, "a delivery")
    reports: list[DeliveryReport | SendReport] = []
    outputs = output_assets(settings, reports.append)
    job = dg.Definitions(assets=[outputs]).resolve_implicit_global_asset_job_def()
    config = {"tenant": tenant or "", "live": live}
    with _instance(settings) as instance, delivery_lock(settings):
        try:
            job.execute_in_process(
                instance=instance,
                asset_selection=sorted(outputs.keys),
                run_config={"ops": {OUTPUTS_STEP: {"config": config}}, **QUIET},
                tags=DELIVERY_TAG,
            )
        except dg.DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
    (report,) = reports
    return report


def require_room_for_a_build(settings: Settings) -> None:
    """Refuse to begin what could not end.

    Raises:
        StorageError: the home cannot be written, or is full.
    """
    require_room(settings.home, MINIMUM_FREE_BYTES, "a build")


@contextmanager
def _instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's records, in which no run stands that is dead.

    Raises:
        StorageError: the records cannot be written.
    """
    reference = InstanceRef.from_dir(str(prepare_dagster_home(settings)), overrides=NO_CAPTURE)
    try:
        with dg.DagsterInstance.from_ref(reference) as instance:
            end_dead_runs(instance, settings, JOB)
            yield instance
    except sqlalchemy.exc.OperationalError as error:
        if not isinstance(error.orig, sqlite3.Error):
            raise
        raise StorageError(
            f"Dagster's records in {settings.dagster_home} cannot be written: {error.orig}. "
            "Free some space there, or set JOURNEY_HOME to a folder on another disk."
        ) from error


def _selected(settings: Settings, definitions: dg.Definitions, select: str) -> list[dg.AssetKey]:
    """The raw tables, and what the selection means; its checks come with it."""
    from orchestration.defs.dbt_events import keys_of_nodes
    from orchestration.transform import list_tables

    graph = definitions.resolve_asset_graph()
    models = definitions.resolve_assets_def([SYNC_SCHEMA, OUTPUTS["winback"]])
    raw = dg.AssetSelection.groups("raw").resolve(graph)
    return sorted(raw | keys_of_nodes(models, list_tables(settings, select)))
