select
    leaders.place,
    leaders.customer_id,
    coalesce(
        nullif(concat_ws(' ', customers.first_name, customers.last_name), ''),
        customers.email,
        'Somebody'
    ) as customer,
    leaders.converted_count,
    leaders.pending_count,
    leaders.revenue_amount
from marts.referral_leaderboard as leaders
inner join marts.customers
    on
        leaders.tenant_id = customers.tenant_id
        and leaders.customer_id = customers.customer_id
where leaders.place <= 10
order by leaders.place, leaders.customer_id
