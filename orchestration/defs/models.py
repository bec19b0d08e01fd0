"""The dbt project as assets: seeds, models, and every data test as a check."""

import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration.defs.dbt_events import LayerTranslator, selected_nodes, to_dagster_events
from orchestration.defs.steps import DBT_STEP, RAW_CHECKS_STEP, SYNC_CHECKS_STEP
from orchestration.ingest.contracts import read_contracts
from orchestration.quality.freshness import EVERY, MARTS, read_cadences
from orchestration.seeds.check import check_seeds, read_seeds
from orchestration.seeds.declarations import read_declarations
from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR, Settings
from orchestration.transform import (
    TransformReport,
    project_fingerprint,
    table_names,
    transform_events,
)
from orchestration.warehouse.backup import KEPT_MARTS
from orchestration.warehouse.builds import OpenBuild
from orchestration.warehouse.database import engine

logger = logging.getLogger(__name__)

UNIT_TESTS = "resource_type:unit_test"


def dbt_models(settings: Settings, manifest: dict[str, Any]) -> dg.AssetsDefinition:
    """The whole project in one step: dbt orders its nodes itself."""
    translator = LayerTranslator(marts_freshness())

    @dbt_assets(
        manifest=manifest,
        exclude=UNIT_TESTS,
        dagster_dbt_translator=translator,
        name=DBT_STEP,
        required_resource_keys={"build"},
    )
    def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        build: OpenBuild = context.resources.build
        select = selected_nodes(context, models, manifest)
        with build.step("transform"):
            check_seeds(SEEDS_DIR)
            build.require_memory([f"marts.{mart}" for mart in KEPT_MARTS])
            if not select:
                _forget(build, settings)
            full_refresh = build.record.details["full_refresh"]
            covered = build.coverage_before(project_fingerprint(), table_names(manifest))
            events = transform_events(
                settings,
                build.record.as_of,
                since=None if select or full_refresh else covered,
                select=select,
                with_tests_of_selected=False,
                full_refresh=full_refresh,
            )
            # Dagster may leave this generator where it stands
            build.before_release.callback(events.close)
            report = yield from _mapped(events, manifest, translator, context)
            build.record.details["transform"] = report.to_dict()
            report.require_success()
        is_checked = context.job_def.has_node_named(SYNC_CHECKS_STEP)
        is_whole = not select and is_checked and context.job_def.has_node_named(RAW_CHECKS_STEP)
        build.record.scope = "whole" if is_whole else "partial"
        if not is_checked:
            build.succeed(build.record.scope)

    return models


def marts_freshness() -> dg.FreshnessPolicy:
    """When Dagster says that marts and messages are late, by `seeds/freshness.csv`.

    Raises:
        SeedError: the seed cannot be used.
    """
    seeds = read_seeds(SEEDS_DIR, read_declarations(SEEDS_DIR))
    cadence = read_cadences(seeds, read_contracts(DBT_PROJECT_DIR))[EVERY, MARTS]
    return dg.FreshnessPolicy.time_window(
        fail_window=cadence.every + cadence.slack,
        warn_window=cadence.every if cadence.slack else None,
    )


def _forget(build: OpenBuild, settings: Settings) -> None:
    """Carry out what people have asked for, once it is known that the derivation can follow."""
    from orchestration.privacy.erasure import erase_requested

    receipts = erase_requested(engine(settings), settings)
    build.record.details["erasures"] = [receipt.to_dict() for receipt in receipts]
    for receipt in receipts:
        logger.info("%s", receipt.explain())


def _mapped(
    events: Generator[dict[str, Any], None, TransformReport],
    manifest: dict[str, Any],
    translator: LayerTranslator,
    context: dg.AssetExecutionContext,
) -> Generator[Any, None, TransformReport]:
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                report: TransformReport = end.value
                return report
            yield from to_dagster_events(event, manifest, translator, context)
