-- The last day of each month that the table knows, so the current month ends today.
with ends_of_months as (
    select
        date_trunc('month', score_on) as month,
        max(score_on) as score_on
    from marts.lead_score_daily
    group by date_trunc('month', score_on)
    order by month desc
    limit 12
),

-- A band that is empty today still has its place among the others.
bands as (
    select
        lead_band,
        max(average_score) as highest_average
    from marts.lead_score_daily
    group by lead_band
)

select
    cast(ends_of_months.month as date) as month,
    daily.lead_band,
    daily.customers
from ends_of_months
inner join marts.lead_score_daily as daily on ends_of_months.score_on = daily.score_on
inner join bands on daily.lead_band = bands.lead_band
order by ends_of_months.month, bands.highest_average desc nulls last, daily.lead_band
