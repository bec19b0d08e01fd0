"""What leaves the warehouse: one asset per output, downstream of its sync model."""

import dagster as dg

from orchestration.activation.deliver import deliver
from orchestration.activation.message import OUTPUTS, SYNC_SCHEMA
from orchestration.settings import Settings


def output_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """An asset `<output>_outputs` for each output."""
    return [_output_asset(settings, output, model) for output, model in OUTPUTS.items()]


def _output_asset(settings: Settings, output: str, model: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{output}_outputs",
        deps=[dg.AssetKey([SYNC_SCHEMA, model])],
        group_name="outputs",
        description=f"Dry run of the messages in {model}: payload files and outbox rows.",
    )
    def outputs() -> dg.MaterializeResult[None]:
        report = deliver(settings, outputs=[output])
        columns = ("tenant_id", "destination", "purpose", "written", "waiting", "expired")
        records = [
            dg.TableRecord({name: getattr(purpose, name) for name in columns})
            for purpose in report.purposes
        ]
        samples = {
            f"{purpose.tenant_id} {purpose.purpose}": list(purpose.samples)
            for purpose in report.purposes
        }
        return dg.MaterializeResult(
            metadata={
                **{what: report.total(what) for what in ("written", "waiting", "expired")},
                "recorded": report.total("recorded"),
                "purposes": dg.MetadataValue.table(records) if records else "no messages",
                "message_ids": samples,
                "folder": dg.MetadataValue.path(report.folder),
            }
        )

    return outputs
