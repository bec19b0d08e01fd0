"""What the warehouse decides about rewards, once the marts of a build are settled."""

import dagster as dg

from orchestration.activation.redemptions import decide_redemptions
from orchestration.defs.quality import SETTLED
from orchestration.settings import Settings

DECISIONS = dg.AssetSpec(
    ["outbox", "redemption_decisions"],
    group_name="outbox",
    description="What was decided about requests for rewards so far, as the models read it.",
    kinds={"postgres"},
)
"""Apart from the asset that decides: the models of a build read what builds before it decided."""


def redemption_decisions(settings: Settings) -> dg.AssetsDefinition:
    """The decisions on open requests; the next build reads them."""

    @dg.asset(
        deps=[dg.AssetKey(["marts", "reward_redemptions"]), *SETTLED],
        group_name="outbox",
        kinds={"python"},
        required_resource_keys={"build"},
        description="Grants or refuses every open request for a reward, once.",
    )
    def redemption_decisions() -> dg.MaterializeResult[None]:
        report = decide_redemptions(settings, within_build=True)
        return dg.MaterializeResult(metadata={"accepted": report.accepted, **report.refused})

    return redemption_decisions
