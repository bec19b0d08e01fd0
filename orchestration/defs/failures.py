"""What Dagster's records say about a run that did not succeed."""

from datetime import timedelta

import dagster as dg
import sqlalchemy
from dagster._time import get_current_datetime

from orchestration.warehouse.builds import BuildRunning, build_of_run, locked

START_PATIENCE = timedelta(minutes=3)
"""The time that a launched run may take until its process reports."""
DEAD = "The process of this run ended before the run did."


def is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether this is a step or a run that failed because of a Ctrl-C or a SIGTERM."""
    if event.is_step_failure:
        source = event.step_failure_data.error_source
        return source is not None and source.name == "INTERRUPT"
    if event.is_job_failure:
        reason = event.job_failure_data.failure_reason
        return reason is not None and reason.name == "UNEXPECTED_TERMINATION"
    return False


def innermost(error: object) -> str:
    """The message of the exception that caused the others, without its class."""
    while (cause := getattr(error, "cause", None)) is not None:
        error = cause
    message = str(getattr(error, "message", error)).strip()
    name = str(getattr(error, "cls_name", ""))
    head, separator, rest = message.partition(": ")
    return rest if separator and head.endswith(name) else message


def end_dead_runs(instance: dg.DagsterInstance, database: sqlalchemy.Engine, job: str) -> list[str]:
    """Mark the runs whose process is gone as failed; returns their ids.

    A run of the job holds the warehouse while it works, so that none works while the lock is free;
    nor does another run that once took the lock. Dagster itself never notices, and launches
    nothing as long as such a run stands in its records.
    """
    try:
        with locked(database), database.connect() as connection:
            at_work = dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
            )
            long_starting = dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.STARTING],
                updated_before=get_current_datetime() - START_PATIENCE,
            )
            dead = [
                run
                for runs in (at_work, long_starting)
                for run in instance.get_runs(runs)
                if run.job_name == job or build_of_run(connection, run.run_id) is not None
            ]
            for run in dead:
                instance.report_run_failed(run, DEAD)
    except BuildRunning:
        return []
    return [run.run_id for run in dead]
