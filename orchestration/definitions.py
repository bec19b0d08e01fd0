"""Everything that Dagster shows and runs; `dagster dev -m orchestration.definitions` reads it."""

import dagster as dg

from orchestration.defs.automation import (
    dead_runs_sensor,
    failed_runs_sensor,
    landing_sensor,
    schedules,
    warehouse_build,
)
from orchestration.defs.build import build_resource
from orchestration.defs.dbt_events import attach_singular_tests
from orchestration.defs.gift_codes import gift_codes
from orchestration.defs.models import dbt_models
from orchestration.defs.outputs import output_assets
from orchestration.defs.quality import raw_checks, sync_checks
from orchestration.defs.raw import raw_assets
from orchestration.defs.records import RECORDS
from orchestration.defs.redemptions import DECISIONS, redemption_decisions
from orchestration.settings import Settings, get_settings
from orchestration.transform import load_manifest_json


def make_definitions(settings: Settings) -> dg.Definitions:
    """The assets, checks, jobs and schedules of a warehouse; parses the dbt project if need be.

    Steps run one after the other in the process of the run: a process per step would cost more
    than the steps.
    """
    manifest = attach_singular_tests(load_manifest_json(settings))
    return dg.Definitions(
        assets=[
            raw_assets(settings, manifest),
            gift_codes(settings),
            dbt_models(settings, manifest),
            DECISIONS,
            redemption_decisions(settings),
            *RECORDS,
            output_assets(settings),
        ],
        asset_checks=[raw_checks(settings), sync_checks(settings)],
        jobs=[warehouse_build],
        schedules=schedules(),
        sensors=[
            landing_sensor(settings),
            dead_runs_sensor(settings),
            failed_runs_sensor(settings),
        ],
        resources={"build": build_resource(settings)},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of the warehouse that the environment names."""
    return make_definitions(get_settings())
