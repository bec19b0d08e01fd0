select
    occurred_at,
    activity_type,
    title,
    source,
    amount,
    currency,
    activity_id
from marts.customer_activity_timeline
where customer_id = :customer_id
