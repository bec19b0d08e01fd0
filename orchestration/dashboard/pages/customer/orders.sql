select
    ordered_at,
    source_order_id,
    status,
    gross_amount,
    net_amount,
    currency
from marts.orders
where customer_id = :customer_id
order by ordered_at desc, order_id desc
limit :rows
