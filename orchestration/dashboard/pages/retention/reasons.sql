select
    reason,
    sum(customers) as people
from marts.winback_blockers
where
    reason not in (
        'campaign_not_active', 'campaign_not_started', 'campaign_ended', 'stage_not_targeted'
    )
group by reason
order by people desc, reason
