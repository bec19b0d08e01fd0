"""The raw tables: one asset per source, loaded together from the landing zone."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from orchestration.settings import Settings
from orchestration.warehouse.builds import OpenBuild
from orchestration.warehouse.database import engine

COUNTS = ("rows_read", "rows_loaded", "rows_unchanged", "rows_rejected")


def raw_assets(settings: Settings, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The assets behind the dbt sources; materialising them loads every new landing file."""
    sources = {source["name"]: source for source in manifest["sources"].values()}
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
            report = load_landing(engine(settings), settings)
        build.record.details["load"] = report.to_dict()
        counts: dict[str, Counter[str]] = {name: Counter() for name in sources}
        for file in report.files:
            counts.setdefault(file.source, Counter()).update(
                {f"files_{file.status}": 1, **{name: getattr(file, name) for name in COUNTS}}
            )
        for problem in report.problems:
            context.log.warning(f"{problem.file} {problem.problem}")
        for name in sorted(sources):
            yield dg.MaterializeResult(asset_key=["raw", name], metadata=dict(counts[name]))

    return load
