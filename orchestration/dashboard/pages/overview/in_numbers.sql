-- Everything but the newcomers comes from aggregates; those are a range of an index.
with everybody as (
    select
        customers,
        average_lifetime_value
    from marts.journey_analytics
    where dimension = 'total'
),

buyers_who_return as (
    select conversion_rate as repeat_rate
    from marts.journey_funnel
    where step = 'repeat'
),

beginnings as (
    select
        date_trunc('month', cast(:as_of as timestamptz) at time zone :time_zone)
        at time zone :time_zone as month_at,
        cast(:as_of as timestamptz) - interval '30' day as days_at
),

newcomers as (
    select
        count(*) filter (where customers.first_seen_at >= beginnings.month_at) as this_month,
        count(*) filter (where customers.first_seen_at >= beginnings.days_at) as in_30_days
    from marts.customers
    cross join beginnings
    where customers.first_seen_at >= least(beginnings.month_at, beginnings.days_at)
),

revenue as (
    select coalesce(sum(net_amount), 0) as net_amount
    from marts.customer_cohorts
)

select
    everybody.customers,
    buyers_who_return.repeat_rate,
    newcomers.this_month as new_this_month,
    newcomers.in_30_days as new_in_30_days,
    everybody.average_lifetime_value,
    revenue.net_amount as revenue_amount
from everybody
cross join buyers_who_return
cross join newcomers
cross join revenue
