select
    code,
    status,
    discount_type,
    use_count,
    refused_count,
    customer_count,
    discount_amount,
    net_amount,
    expires_at
from marts.coupons
order by use_count desc, code
limit :rows
