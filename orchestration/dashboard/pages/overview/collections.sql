select
    value as collection,
    customers,
    share,
    at_risk_count,
    average_lifetime_value
from marts.journey_analytics
where dimension = 'collection'
order by value_order
