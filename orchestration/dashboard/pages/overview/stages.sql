select
    value as stage,
    customers,
    share,
    average_lifetime_value
from marts.journey_analytics
where dimension = 'stage'
order by value_order
