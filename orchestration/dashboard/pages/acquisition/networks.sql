select
    network,
    sum(orders) as orders,
    sum(revenue_amount) as revenue_amount
from marts.network_preference
group by network
order by orders desc, network
limit 20
