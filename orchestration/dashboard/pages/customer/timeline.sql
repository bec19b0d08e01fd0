select
    occurred_at,
    activity_type,
    title,
    source,
    amount,
    currency
from marts.customer_activity_timeline
where customer_id = :customer_id
order by occurred_at desc, activity_id desc
limit :rows
