"""A run of the job from the command line, in this process, kept where the UI looks."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import dagster as dg
from dagster_dbt import build_dbt_asset_selection

from orchestration.defs.automation import JOB
from orchestration.defs.models import DBT_STEP
from orchestration.definitions import make_definitions
from orchestration.settings import Settings
from orchestration.transform import TransformError
from orchestration.warehouse.errors import JourneyError


def run_job(
    settings: Settings, as_of: datetime | None, *, full_refresh: bool, select: str | None
) -> str:
    """Run the job to its end, whether it succeeds or not; returns the id of the Dagster run.

    Raises:
        JourneyError: the run could not start, for example because another build runs.
    """
    definitions = make_definitions(settings)
    job = definitions.resolve_job_def(JOB)
    config = {"as_of": as_of.isoformat() if as_of else "", "full_refresh": full_refresh}
    with _instance(settings) as instance:
        try:
            result = job.execute_in_process(
                instance=instance,
                run_config={"resources": {"build": {"config": config}}},
                asset_selection=_selected(definitions, select) if select else None,
                raise_on_error=False,
            )
        except dg.DagsterError as error:
            raise _expected(error) or error from None
    return result.run_id
