"""The checks at the two boundaries: what was loaded, and what is about to leave.

They block: a step downstream of a checked table waits for its checks, whatever asked for the run.
"""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from orchestration.activation.message import OUTPUTS, SYNC_SCHEMA
from orchestration.defs.steps import DBT_STEP, RAW_CHECKS_STEP, SYNC_CHECKS_STEP
from orchestration.ingest.contracts import read_contracts
from orchestration.quality.boundaries import check_raw, check_sync
from orchestration.quality.report import Failure, QualityReport
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.warehouse.builds import OpenBuild
from orchestration.warehouse.database import engine

EXPECTATIONS, FRESHNESS = "expectations", "freshness"
SETTLED = [dg.AssetKey([SYNC_SCHEMA, model]) for model in OUTPUTS.values()]
"""What depends on all of these begins once the build has its verdict."""


def raw_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Two checks per source: what its new rows look like, and whether it came in time."""
    names = sorted(read_contracts(DBT_PROJECT_DIR))
    specs = [
        spec
        for name in names
        for spec in (
            dg.AssetCheckSpec(
                EXPECTATIONS,
                asset=["raw", name],
                blocking=True,
                description="Whether the new rows are plausible, by seeds/quality_rules.csv.",
            ),
            dg.AssetCheckSpec(
                FRESHNESS,
                asset=["raw", name],
                description="Whether the source came in time, by seeds/freshness.csv.",
            ),
        )
    ]

    @dg.multi_asset_check(
        name=RAW_CHECKS_STEP,
        specs=specs,
        can_subset=True,
        required_resource_keys={"build"},
        description="Checks what the loads brought since the last build that succeeded.",
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        build: OpenBuild = context.resources.build
        yield from _checked(
            context,
            build,
            "raw",
            lambda sources: _with_engine(
                settings,
                lambda database: check_raw(database, build.record.started_at, sources),
            ),
        )
        if not context.job_def.has_node_named(DBT_STEP):
            build.succeed("none")

    return checks


def sync_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """A check per sync model; the build has succeeded once they passed."""
    specs = [
        dg.AssetCheckSpec(
            EXPECTATIONS,
            asset=key,
            blocking=True,
            description="Whether every message is whole and goes to whom it may.",
        )
        for key in SETTLED
    ]

    @dg.multi_asset_check(
        name=SYNC_CHECKS_STEP,
        specs=specs,
        can_subset=True,
        required_resource_keys={"build"},
        description="Checks the messages of the build before anything is made of them.",
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        build: OpenBuild = context.resources.build
        yield from _checked(
            context,
            build,
            SYNC_SCHEMA,
            lambda models: _with_engine(settings, lambda database: check_sync(database, models)),
        )
        build.succeed(build.record.scope)

    return checks


def _checked(
    context: dg.AssetCheckExecutionContext,
    build: OpenBuild,
    boundary: str,
    check: Callable[[set[str]], QualityReport],
) -> Iterator[dg.AssetCheckResult]:
    """Run the checks that were asked for, tell Dagster, and keep the report with the build."""
    asked = context.selected_asset_check_keys
    with build.step(f"check_{boundary}"):
        report = check({key.asset_key.path[-1] for key in asked})
        build.record.details.setdefault("quality", {})[boundary] = report.to_dict()
        for key in sorted(asked):
            yield _freshness(report, key) if key.name == FRESHNESS else _result(report, key)
        report.require_success()


def _with_engine(settings: Settings, check: Callable[[Any], QualityReport]) -> QualityReport:
    database = engine(settings)
    try:
        return check(database)
    finally:
        database.dispose()


def _result(report: QualityReport, key: dg.AssetCheckKey) -> dg.AssetCheckResult:
    table = ".".join(key.asset_key.path)
    failures = report.of(table)
    is_error = any(failure.severity == "error" for failure in failures)
    metadata: dict[str, Any] = {"expectations": report.expectations[table]}
    if failures:
        metadata["broken"] = dg.MetadataValue.table([_record(failure) for failure in failures])
    return dg.AssetCheckResult(
        passed=not failures,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description="\n".join(failure.explain() for failure in failures) or None,
        metadata=metadata,
    )


def _freshness(report: QualityReport, key: dg.AssetCheckKey) -> dg.AssetCheckResult:
    late = report.late.get(key.asset_key.path[-1], ())
    return dg.AssetCheckResult(
        passed=not late,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join(late) or None,
    )


def _record(failure: Failure) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "tenant_id": failure.tenant_id,
            "severity": failure.severity,
            "expected": failure.expected,
            "found": failure.found,
            "examples": ", ".join(failure.examples),
            "way_out": failure.mend,
            "query": failure.look,
        }
    )
