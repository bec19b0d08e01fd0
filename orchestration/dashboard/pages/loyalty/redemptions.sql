with latest_requests as (
    select *
    from marts.reward_redemptions
    order by requested_at desc, request_id
    limit :rows
)

select
    requests.requested_at,
    requests.customer_id,
    coalesce(
        nullif(concat_ws(' ', customers.first_name, customers.last_name), ''),
        customers.email,
        'Nobody known'
    ) as customer,
    requests.reward_id,
    requests.status,
    requests.reason,
    requests.points,
    requests.expires_at
from latest_requests as requests
left join marts.customers
    on
        requests.tenant_id = customers.tenant_id
        and requests.customer_id = customers.customer_id
order by requests.requested_at desc, requests.request_id
