select
    utm_source,
    utm_medium,
    utm_campaign,
    channel,
    customers,
    buyers,
    cast(buyers as numeric) / nullif(customers, 0) as buyer_rate,
    revenue_amount
from marts.acquisition_sources
where utm_source <> 'none' or utm_medium <> 'none' or utm_campaign <> 'none'
order by revenue_amount desc, utm_source, utm_medium, utm_campaign, channel
limit :rows
