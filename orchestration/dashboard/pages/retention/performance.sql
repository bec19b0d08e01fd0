select
    campaign_name,
    targeted_count,
    sent_count,
    opened_rate,
    clicked_rate,
    recovered_count,
    recovered_rate,
    held_out_recovered_rate,
    lift_rate,
    lift_low_rate,
    lift_high_rate,
    recovered_amount
from marts.winback_performance
where targeted_count > 0
order by targeted_count desc, campaign_name, campaign_id
