with last_day as (
    select max(score_on) as score_on
    from marts.lead_score_daily
),

counted as (
    select
        (last_day.score_on - daily.score_on) / 7 as weeks_ago,
        min(daily.score_on) as week,
        sum(daily.changed_customers) as changed_customers
    from marts.lead_score_daily as daily
    inner join last_day on daily.score_on > last_day.score_on - 84
    group by (last_day.score_on - daily.score_on) / 7
)

select
    week,
    'Changed scores' as measure,
    changed_customers
from counted
order by week
