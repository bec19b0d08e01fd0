select
    tiers.tier,
    cast(tiers.members as bigint) as members
from marts.loyalty_overview as overview
cross join lateral jsonb_each_text(overview.members_per_tier) as tiers (tier, members)
order by members desc, tiers.tier
