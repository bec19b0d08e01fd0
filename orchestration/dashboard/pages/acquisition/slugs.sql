select
    shop_id,
    slug,
    visits,
    conversion_rate,
    orders,
    first_time_orders,
    repeat_orders,
    revenue_amount
from marts.slug_performance
order by revenue_amount desc, shop_id, slug
limit :rows
