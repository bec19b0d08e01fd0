"""What leaves the warehouse: one asset per output, downstream of its sync model."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from orchestration.activation.deliver import DeliveryReport, deliver, require_tenant
from orchestration.activation.destinations.files import EXPORT, write_export
from orchestration.activation.message import OUTPUTS, SYNC_SCHEMA
from orchestration.activation.report import SendReport
from orchestration.activation.send import send
from orchestration.defs.quality import SETTLED
from orchestration.settings import Settings

OUTPUTS_STEP = "deliver"
EXPORT_ASSET = "marketing_export"
SENT_COUNTS = ("sent", "backfilled", "rejected", "unknown", "not_due", "left")
COUNTS = ("written", "waiting", "expired", "recorded")
CONFIG_SCHEMA = {
    "tenant": dg.Field(str, default_value="", description="Only this tenant; empty: all of them."),
    "live": dg.Field(
        bool,
        default_value=False,
        description="Send to the destinations; needs the tenant. Otherwise nothing leaves.",
    ),
}


def output_assets(
    settings: Settings, tell: Callable[[DeliveryReport | SendReport], None] | None = None
) -> dg.AssetsDefinition:
    """An asset `<output>_outputs` for each output, all of them delivered from one snapshot.

    Args:
        settings: where the warehouse is.
        tell: given the report, for a caller in the same process.
    """
    outputs = {f"{output}_outputs": output for output in OUTPUTS}
    specs = [
        dg.AssetSpec(
            name,
            deps=[dg.AssetKey([SYNC_SCHEMA, OUTPUTS[output]])],
            group_name="outputs",
            description=f"The messages of {OUTPUTS[output]}: as payload files, or sent.",
            kinds={"python"},
            skippable=True,
        )
        for name, output in outputs.items()
    ]
    export = dg.AssetSpec(
        EXPORT_ASSET,
        deps=[dg.AssetKey(["marts", EXPORT]), *SETTLED],
        group_name="outputs",
        description="Whom a tenant may contact, as CSV, JSON Lines and Parquet; live only.",
        kinds={"python"},
        skippable=True,
    )

    @dg.multi_asset(
        name=OUTPUTS_STEP,
        specs=[*specs, export],
        can_subset=True,
        config_schema=CONFIG_SCHEMA,
        description="Writes what the latest build decided to send, or sends it when told to.",
    )
    def deliver_outputs(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        selected = context.selected_asset_keys
        asked = {name: output for name, output in outputs.items() if dg.AssetKey(name) in selected}
        config = context.op_execution_context.op_config
        tenant = config["tenant"] or None
        report: DeliveryReport | SendReport
        if config["live"]:
            report = send(settings, require_tenant(tenant or ""), tuple(asked.values()))
        else:
            report = deliver(settings, tenant, tuple(asked.values()))
        if tell is not None:
            tell(report)
        for name, output in asked.items():
            yield dg.MaterializeResult(
                asset_key=name, metadata={"tenant": tenant or "all", **_metadata(report, output)}
            )
        if isinstance(report, SendReport) and dg.AssetKey(EXPORT_ASSET) in selected:
            written = write_export(settings, report.tenant_id)
            files = [str(file) for file in written.files]
            yield dg.MaterializeResult(
                asset_key=EXPORT_ASSET, metadata={"rows": written.rows, "files": files}
            )

    return deliver_outputs


def _metadata(report: DeliveryReport | SendReport, output: str) -> dict[str, Any]:
    if isinstance(report, SendReport):
        return _metadata_of_sent(report.of(output))
    return _metadata_of_written(report.of(output))


def _metadata_of_sent(report: SendReport) -> dict[str, Any]:
    records = [
        dg.TableRecord(
            {
                "destination": one.destination,
                "purpose": one.purpose,
                **{count: getattr(one, count) for count in SENT_COUNTS},
                "skipped": one.skipped.total(),
                "waiting": one.waiting.total(),
            }
        )
        for one in report.purposes.values()
    ]
    reasons = {
        f"{one.purpose} {what}": dict(getattr(one, what))
        for one in report.purposes.values()
        for what in ("skipped", "waiting")
        if getattr(one, what)
    }
    return {
        **{count: report.total(count) for count in (*SENT_COUNTS, "skipped", "waiting")},
        "held_out": report.held_out,
        "purposes": dg.MetadataValue.table(records) if records else "no messages",
        "reasons": reasons,
        "notes": report.notes,
        "is_complete": report.is_complete,
        "message_ids": {one.purpose: one.samples for one in report.purposes.values()},
        "build_id": str(report.build_id),
    }


def _metadata_of_written(report: DeliveryReport) -> dict[str, Any]:
    columns = ("tenant_id", "destination", "purpose", *COUNTS)
    records = [
        dg.TableRecord({column: getattr(purpose, column) for column in columns})
        for purpose in report.purposes
    ]
    samples = {
        f"{purpose.tenant_id} {purpose.purpose}": list(purpose.samples)
        for purpose in report.purposes
    }
    return {
        **{count: report.total(count) for count in COUNTS},
        "purposes": dg.MetadataValue.table(records) if records else "no messages",
        "message_ids": samples,
        "build_id": str(report.build_id),
        "folder": dg.MetadataValue.path(report.folder),
    }
