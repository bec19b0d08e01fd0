select
    campaign_name,
    status,
    replace(replace(target_stages, '_', ' '), '|', ', ') as target_stages,
    incentive_type,
    discount_code,
    holdout_percent / 100 as holdout_rate,
    eligible_count,
    customer_count
from marts.winback_campaigns
order by eligible_count desc, campaign_name, campaign_id
