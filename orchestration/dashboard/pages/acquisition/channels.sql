with channels as (
    select
        channel,
        sum(customers) as customers,
        sum(buyers) as buyers,
        sum(revenue_amount) as revenue_amount
    from marts.acquisition_sources
    group by channel
)

select
    channel,
    customers,
    buyers,
    cast(buyers as numeric) / nullif(customers, 0) as buyer_rate,
    revenue_amount
from channels
order by customers desc, channel
