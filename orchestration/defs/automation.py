"""When builds run: every hour, at 02:00 in full, and when files land.

All of them wait to be switched on in the UI (only the sensors that end dead runs and tell of failed
ones, and build nothing, do not): a schedule that starts by itself would move a
warehouse that was built for a chosen instant to the present.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import dagster as dg

from orchestration.alerts import RunFailure, tell
from orchestration.defs.failures import end_dead_runs, innermost, is_interrupt
from orchestration.ingest.contracts import read_contracts
from orchestration.ingest.landing import Landing
from orchestration.ingest.tenants import read_tenants
from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR, Settings
from orchestration.warehouse.errors import JourneyError

JOB = "warehouse_build"
HOURLY, DAILY = "30 * * * *", "0 2 * * *"
SENSOR_SECONDS = 30
CLEANING_SECONDS = 60

warehouse_build = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.all(),
    description="Load, transform, check, and the outputs' dry run.",
)


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """The hourly build, and the nightly one that rebuilds incremental models too."""
    return [
        dg.ScheduleDefinition(
            "hourly_build",
            cron_schedule=HOURLY,
            job=warehouse_build,
            description="Loads what has landed, transforms and checks.",
        ),
        dg.ScheduleDefinition(
            "nightly_build",
            cron_schedule=DAILY,
            job=warehouse_build,
            run_config={"resources": {"build": {"config": {"full_refresh": True}}}},
            description="The same, with every incremental model rebuilt that may be.",
        ),
    ]


def landing_sensor(settings: Settings) -> dg.SensorDefinition:
    """Asks for a build when files have landed and no longer grow from one look to the next."""

    @dg.sensor(
        job=warehouse_build,
        minimum_interval_seconds=SENSOR_SECONDS,
        description="Asks for a build when new files have landed whole.",
    )
    def landing_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen = state_of_landing(settings)
        before = json.loads(context.cursor or "{}")
        is_settled = seen == before.get("seen")
        is_new = seen is not None and seen != before.get("requested")
        requested = seen if is_settled and is_new else before.get("requested")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=seen)] if is_settled and is_new else [],
            cursor=json.dumps({"seen": seen, "requested": requested}),
        )

    return landing_files


def dead_runs_sensor(settings: Settings) -> dg.SensorDefinition:
    """Ends the runs whose process was killed, for the next one waits until they have ended."""

    @dg.sensor(
        minimum_interval_seconds=CLEANING_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        job=warehouse_build,
        description="Ends the runs whose process was killed; builds nothing.",
    )
    def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            ended = end_dead_runs(context.instance, settings, JOB)
        except JourneyError as error:
            return dg.SkipReason(str(error))
        return dg.SkipReason(f"Ended: {', '.join(ended)}" if ended else "No run is dead.")

    return dead_runs


def failed_runs_sensor(settings: Settings) -> dg.SensorDefinition:
    """Tells of every run that failed, whether the UI, a schedule or the command line began it."""

    @dg.run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=SENSOR_SECONDS,
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of failed runs in failures.jsonl and at the webhook; builds nothing.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        if is_interrupt(context.failure_event):
            return dg.SkipReason("The run was interrupted by somebody who knows.")
        run = context.dagster_run
        errors = {
            str(event.step_key): innermost(event.step_failure_data.error)
            for event in context.get_step_failure_events()
        }
        failure = RunFailure(
            run_id=run.run_id,
            job=run.job_name,
            failed_at=datetime.now(UTC),
            errors=errors or {"": str(context.failure_event.message)},
        )
        return dg.SkipReason(tell(settings, failure))

    return failed_runs


def state_of_landing(settings: Settings) -> str | None:
    """A digest of the names and sizes of all landing files; None when there are none."""
    tenants = read_tenants(SEEDS_DIR / "tenants.csv")
    files, _ = Landing(settings.landing).scan(tenants, read_contracts(DBT_PROJECT_DIR))
    if not files:
        return None
    listing = "\n".join(f"{file.path}\t{file.bytes}" for file in files)
    return sha256(listing.encode()).hexdigest()
