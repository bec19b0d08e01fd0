"""The dbt project as assets: seeds, models, and every data test as a check."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration.defs.dbt_events import LayerTranslator, selected_nodes, to_dagster_events
from orchestration.settings import Settings
from orchestration.transform import TransformReport, project_fingerprint, transform_events
from orchestration.warehouse.builds import OpenBuild

DBT_STEP = "dbt_build"
UNIT_TESTS = "resource_type:unit_test"


def dbt_models(settings: Settings, manifest: dict[str, Any]) -> dg.AssetsDefinition:
    """The whole project in one step: dbt orders its nodes itself."""
    translator = LayerTranslator()

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
            full_refresh = build.record.details["full_refresh"]
            covered = build.coverage_before(project_fingerprint())
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
        build.succeed("partial" if select else "whole")

    return models


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
