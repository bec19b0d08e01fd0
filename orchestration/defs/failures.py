"""What Dagster's records say about a run that did not succeed."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

import dagster as dg
import sqlalchemy
from dagster._time import get_current_datetime

from orchestration.privacy.telling import without_values
from orchestration.settings import Settings
from orchestration.warehouse import storage
from orchestration.warehouse.builds import BuildRunning, build_of_run, locked
from orchestration.warehouse.database import engine
from orchestration.warehouse.errors import ServerError

DELIVERY_TAG = {"journey/command": "deliver"}
"""Marks the runs of `journey deliver`, which hold `delivery_lock` as long as they last."""
AT_WORK = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
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
    """The message of the exception that caused the others, without its class and without values."""
    while (cause := getattr(error, "cause", None)) is not None:
        error = cause
    message = str(getattr(error, "message", error)).strip()
    name = str(getattr(error, "cls_name", ""))
    head, separator, rest = message.partition(": ")
    return without_values(rest if separator and head.endswith(name) else message)


def end_dead_runs(instance: dg.DagsterInstance, settings: Settings, job: str) -> list[str]:
    """Mark the builds and deliveries whose process is gone as failed; returns their run ids.

    Dagster itself never notices, and launches nothing as long as such a run stands in its records.

    Args:
        instance: Dagster's records.
        settings: where the warehouse is.
        job: the name of the job that builds.
    """
    database = engine(settings)
    try:
        dead = [
            *_end_dead_builds(instance, database, job),
            *_end_dead_deliveries(instance, settings),
        ]
    finally:
        database.dispose()
    return dead


def delivery_lock(
    settings: Settings, timeout: float = storage.LOCK_TIMEOUT_SECONDS
) -> AbstractContextManager[None]:
    """What a delivery holds, and its process takes along when it dies."""
    return storage.locked(settings.home / "delivery.lock", "a delivery", timeout)


def _end_dead_builds(
    instance: dg.DagsterInstance, database: sqlalchemy.Engine, job: str
) -> list[str]:
    """A run of the job holds the warehouse while it works, so that none works while the lock is
    free; nor does another run that once took the lock.
    """
    try:
        with locked(database), database.connect() as connection:
            long_starting = dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.STARTING],
                updated_before=get_current_datetime() - START_PATIENCE,
            )
            return _end(
                instance,
                [
                    run
                    for runs in (dg.RunsFilter(statuses=AT_WORK), long_starting)
                    for run in instance.get_runs(runs)
                    if run.job_name == job or build_of_run(connection, run.run_id) is not None
                ],
            )
    except BuildRunning:
        return []


def _end_dead_deliveries(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    at_work = dg.RunsFilter(statuses=AT_WORK, tags=DELIVERY_TAG)
    if not instance.get_runs(at_work, limit=1):
        return []
    try:
        with delivery_lock(settings, timeout=0):
            # one may have ended between the question and the lock
            return _end(instance, instance.get_runs(at_work))
    except ServerError:
        return []


def _end(instance: dg.DagsterInstance, dead: Sequence[dg.DagsterRun]) -> list[str]:
    for run in dead:
        instance.report_run_failed(run, DEAD)
    return [run.run_id for run in dead]
