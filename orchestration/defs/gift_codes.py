"""The codes of gifts, drawn between the load and the models that read them."""

import dagster as dg

from orchestration.activation.gift_codes import mint_gift_codes
from orchestration.settings import Settings


def gift_codes(settings: Settings) -> dg.AssetsDefinition:
    """The code of every gift; the models of the same build read them."""

    @dg.asset(
        key=["outbox", "gift_codes"],
        deps=[dg.AssetKey(["raw", "gifts"])],
        group_name="outbox",
        kinds={"python"},
        required_resource_keys={"build"},
        description="Gives a code that nobody can guess to every gift without one, once.",
    )
    def gift_codes() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"minted": mint_gift_codes(settings)})

    return gift_codes
