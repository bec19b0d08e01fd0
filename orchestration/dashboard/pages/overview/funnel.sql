select
    step,
    customers,
    conversion_rate,
    overall_rate
from marts.journey_funnel
order by step_order
