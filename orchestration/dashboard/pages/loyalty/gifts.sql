select
    gift_count,
    pending_count,
    delivered_count,
    claimed_count,
    expired_count,
    cancelled_count,
    refused_claim_count,
    claim_rate
from marts.gift_overview
