with channels as (
    select
        channel,
        sum(customers) as customers,
        sum(revenue_amount) as revenue_amount
    from marts.acquisition_sources
    group by channel
)

select
    channel,
    revenue_amount,
    revenue_amount / nullif(customers, 0) as revenue_per_person
from channels
order by revenue_amount desc, channel
