with counted as (
    select
        sum(targeted_count) as targeted,
        sum(pending_count) as pending,
        sum(skipped_count) as skipped,
        sum(sent_count) as sent,
        sum(opened_count) as opened,
        sum(clicked_count) as clicked,
        sum(recovered_count) as recovered,
        sum(unsubscribed_count) as unsubscribed,
        sum(expired_count) as expired,
        sum(held_out_count) as held_out
    from marts.winback_performance
)

select
    outcomes.outcome,
    coalesce(outcomes.recipients, 0) as recipients
from counted
cross join
    lateral (
        values
        (1, 'pending', counted.pending),
        (2, 'sent', counted.sent),
        (3, 'opened', counted.opened),
        (4, 'clicked', counted.clicked),
        (5, 'recovered', counted.recovered),
        (6, 'unsubscribed', counted.unsubscribed),
        (7, 'expired', counted.expired),
        (8, 'skipped', counted.skipped),
        (9, 'held_out', counted.held_out)
    ) as outcomes (place, outcome, recipients)
where counted.targeted > 0
order by outcomes.place
