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

newcomers as (
    select count(*) as customers
    from marts.customers
    where
        first_seen_at
        >= date_trunc('month', cast(:as_of as timestamptz) at time zone :time_zone)
        at time zone :time_zone
),

revenue as (
    select coalesce(sum(net_amount), 0) as net_amount
    from marts.customer_cohorts
)

select
    everybody.customers,
    buyers_who_return.repeat_rate,
    newcomers.customers as new_this_month,
    everybody.average_lifetime_value,
    revenue.net_amount as revenue_amount
from everybody
cross join buyers_who_return
cross join newcomers
cross join revenue
