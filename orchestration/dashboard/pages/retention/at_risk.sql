select
    customer_id,
    coalesce(nullif(concat_ws(' ', first_name, last_name), ''), email, phone, 'Somebody')
        as customer,
    email,
    stage_since,
    last_purchase_at,
    total_orders,
    lifetime_value,
    email_subscribed
from marts.customers
where stage = 'at_risk'
order by tenant_id desc, stage desc, lifetime_value desc, customer_id desc
limit :rows
