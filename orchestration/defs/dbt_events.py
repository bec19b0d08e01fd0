"""The one place that touches dagster-dbt's private side: dbt's events become Dagster's.

dagster-dbt maps the events of a `dbt` subprocess of its own. We run dbt in process, which is many
times faster, and hand the same events to the same mapping.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

FRESH_GROUPS = ("marts", "sync")


class LayerTranslator(DagsterDbtTranslator):
    """Groups assets by the layer they stand in: seeds, staging, intermediate, marts, sync."""

    def __init__(self, freshness: dg.FreshnessPolicy) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))
        self._freshness = freshness

    def get_asset_spec(
        self,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetSpec:
        """What readers and senders rely on has to be built in time."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if spec.group_name not in FRESH_GROUPS:
            return spec
        return spec.replace_attributes(freshness_policy=self._freshness)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The schema that the dbt project gives to the resource."""
        return str(dbt_resource_props["config"].get("schema") or dbt_resource_props["schema"])


def attach_singular_tests(manifest: dict[str, Any]) -> dict[str, Any]:
    """Give every singular test on several models the asset that its check hangs on.

    That is the model which comes last, for the test reads them all: one that no other model of
    the test depends on; among several, the first by name.
    """
    parents: Mapping[str, list[str]] = manifest["parent_map"]
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] != "test" or node.get("attached_node"):
            continue
        models = [one for one in parents[unique_id] if one in manifest["nodes"]]
        if len(models) < 2:
            continue
        above = {one: _ancestors(parents, one) for one in models}
        last = [one for one in models if not any(one in above[other] for other in models)]
        name = manifest["nodes"][min(last)]["name"]
        node["config"].setdefault("meta", {})["dagster"] = {"ref": {"name": name}}
    return manifest


def to_dagster_events(
    event: dict[str, Any],
    manifest: Mapping[str, Any],
    translator: DagsterDbtTranslator,
    context: dg.AssetExecutionContext,
) -> Iterator[Any]:
    """What Dagster should record for one of dbt's events: an output or a check result."""
    message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
    yield from message.to_default_asset_events(manifest, translator, context)


def selected_nodes(
    context: dg.AssetExecutionContext, whole: dg.AssetsDefinition, manifest: Mapping[str, Any]
) -> list[str]:
    """dbt selections for exactly what the run asks for; none when that is everything."""
    all_checks = {spec.key for spec in whole.check_specs}
    is_whole = context.selected_asset_keys == whole.keys
    if is_whole and context.selected_asset_check_keys == all_checks:
        return []
    specs: list[dg.AssetSpec | dg.AssetCheckSpec] = [
        *(spec for spec in whole.specs if spec.key in context.selected_asset_keys),
        *(spec for spec in whole.check_specs if spec.key in context.selected_asset_check_keys),
    ]
    unique_ids = [spec.metadata[DAGSTER_DBT_UNIQUE_ID_METADATA_KEY] for spec in specs]
    return [".".join(manifest["nodes"][unique_id]["fqn"]) for unique_id in unique_ids]


def keys_of_nodes(whole: dg.AssetsDefinition, unique_ids: Set[str]) -> set[dg.AssetKey]:
    """The assets of dbt's seeds, models and snapshots."""
    name = DAGSTER_DBT_UNIQUE_ID_METADATA_KEY
    return {spec.key for spec in whole.specs if spec.metadata[name] in unique_ids}


def _ancestors(parents: Mapping[str, list[str]], unique_id: str) -> set[str]:
    found: set[str] = set()
    waiting = [unique_id]
    while waiting:
        for parent in parents.get(waiting.pop(), []):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found
