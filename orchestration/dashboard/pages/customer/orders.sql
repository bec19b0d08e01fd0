select
    ordered_at,
    source_order_id,
    status,
    gross_amount,
    net_amount,
    currency,
    order_id
from marts.orders
where customer_id = :customer_id
