"""The raw tables: one asset per source, loaded together from the landing zone."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.defs.steps import DBT_STEP, RAW_CHECKS_STEP
from orchestration.settings import Settings
from orchestration.warehouse.builds import OpenBuild
from orchestration.warehouse.database import engine

if TYPE_CHECKING:
    from orchestration.ingest.load import Progress

logger = logging.getLogger(__name__)

COUNTS = ("rows_read", "rows_loaded", "rows_unchanged", "rows_rejected")


def raw_assets(settings: Settings, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The assets behind the dbt sources; materialising them loads every new landing file."""
    sources = {
        source["name"]: source
        for source in manifest["sources"].values()
        if source["source_name"] == "raw"
    }
    specs = [
        dg.AssetSpec(
            ["raw", name], group_name="raw", description=source["description"], kinds={"postgres"}
        )
        for name, source in sorted(sources.items())
    ]

    @dg.multi_asset(name="load_landing", specs=specs, required_resource_keys={"build"})
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from orchestration.ingest.load import load_landing

        build: OpenBuild = context.resources.build
        with build.step("load"):
            report = load_landing(engine(settings), settings, _tell)
        facts = report.to_dict()
        refused = report.with_status("refused")
        build.record.details["load"] = {
            "totals": facts["totals"],
            "refused": [{"file": file.file, "error": file.error} for file in refused],
            "problems": facts["problems"],
        }
        if not any(map(context.job_def.has_node_named, (RAW_CHECKS_STEP, DBT_STEP))):
            build.succeed("none")
        counts: dict[str, Counter[str]] = {name: Counter() for name in sources}
        for file in report.files:
            counts.setdefault(file.source, Counter()).update(
                {f"files_{file.status}": 1, **{name: getattr(file, name) for name in COUNTS}}
            )
        for problem in report.problems:
            context.log.warning(f"{problem.file} {problem.problem}")
        for file in refused:
            context.log.warning(f"{file.file} refused: {file.error}")
        problems: dict[str, str | None] = {
            problem.file: problem.problem for problem in report.problems
        }
        for name in sorted(sources):
            words = {
                "refused": {file.file: file.error for file in refused if file.source == name},
                "problems": problems,
            }
            yield dg.MaterializeResult(
                asset_key=["raw", name],
                metadata={**counts[name], **{what: told for what, told in words.items() if told}},
            )

    return load


def _tell(progress: "Progress") -> None:
    file = progress.result
    if file is not None and file.status != "already_loaded":
        logger.info(
            "%s %s: %s rows loaded, %s unchanged, %s rejected in %.1f s",
            file.status,
            file.file,
            f"{file.rows_loaded:,}",
            f"{file.rows_unchanged:,}",
            f"{file.rows_rejected:,}",
            file.seconds,
        )
