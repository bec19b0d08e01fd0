select
    shop_id,
    customers,
    repeat_rate,
    new_customers_this_month,
    average_lifetime_value,
    visits,
    orders,
    revenue_amount
from marts.shop_overview
order by revenue_amount desc, shop_id
limit :rows
