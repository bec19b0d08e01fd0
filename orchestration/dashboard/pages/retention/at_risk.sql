select
    tenant_id,
    customer_id,
    coalesce(nullif(concat_ws(' ', first_name, last_name), ''), email, phone, 'Somebody')
        as customer,
    email,
    stage,
    stage_since,
    last_purchase_at,
    total_orders,
    lifetime_value,
    email_subscribed
from marts.customers
where stage = 'at_risk'
