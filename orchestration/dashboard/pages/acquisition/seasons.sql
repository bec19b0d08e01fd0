select
    month_of_year,
    'Orders' as measure,
    sum(orders) as orders,
    sum(revenue_amount) as revenue_amount
from marts.seasonal_sales
group by month_of_year
order by month_of_year
