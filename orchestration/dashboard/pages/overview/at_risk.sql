select
    customers,
    average_lifetime_value
from marts.journey_analytics
where dimension = 'stage' and value = 'at_risk'
