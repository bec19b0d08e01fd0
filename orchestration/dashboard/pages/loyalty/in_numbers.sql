select
    member_count,
    points_outstanding,
    redemptions_30_days,
    referrals_converted_count,
    referral_revenue_amount
from marts.loyalty_overview
