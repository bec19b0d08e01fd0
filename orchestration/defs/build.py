"""The build as a resource of a run: taken when the run starts, settled when it ends."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.failures import innermost, is_interrupt
from orchestration.settings import Settings
from orchestration.warehouse.builds import OpenBuild, building, parse_as_of
from orchestration.warehouse.database import engine

CONFIG_SCHEMA = {
    "as_of": dg.Field(
        str,
        default_value="",
        description="The instant to describe, like 2026-07-01T00:00:00Z; empty: the run's start.",
    ),
    "full_refresh": dg.Field(
        bool,
        default_value=False,
        description="Rebuild incremental models from nothing, where they allow it.",
    ),
}


def build_resource(settings: Settings) -> dg.ResourceDefinition:
    """One build per run; the run fails when another build holds the warehouse."""

    @dg.resource(config_schema=CONFIG_SCHEMA)
    def build(context: dg.InitResourceContext) -> Iterator[OpenBuild]:
        config = context.resource_config
        as_of = parse_as_of(config["as_of"]) if config["as_of"] else None
        run_id = context.run.run_id if context.run else None
        details = {"run_id": run_id, "full_refresh": config["full_refresh"]}
        database = engine(settings)
        try:
            with building(database, as_of, details) as opened:
                yield opened
                # Dagster drops an exception that it raised itself, as upon an interrupt, before
                # it comes back here; what remains of it is the event of the step
                failure = _failure(context.instance, run_id)
                if failure is not None:
                    opened.fail(failure)
        finally:
            database.dispose()

    return build


def _failure(instance: dg.DagsterInstance | None, run_id: str | None) -> str | None:
    """The error of a step that failed by itself; None when a step was interrupted."""
    if instance is None or run_id is None:
        return None
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    if not events or any(is_interrupt(event) for event in events):
        return None
    return f"{events[0].step_key}: {innermost(events[0].step_failure_data.error)}"
