-- A returned row is a member whose balance differs from what is left of the lots.
with accounts as (
    select * from {{ ref('loyalty_accounts') }}
    where {{ is_touched('loyalty_accounts') }}
),

open_lots as (
    select * from {{ ref('int_loyalty__lots') }}
    where remaining_points > 0
),

points_per_customer as (
    select
        tenant_id,
        customer_id,
        sum(remaining_points) as points
    from open_lots
    group by tenant_id, customer_id
)

select
    coalesce(accounts.tenant_id, points_per_customer.tenant_id) as tenant_id,
    coalesce(accounts.customer_id, points_per_customer.customer_id) as customer_id,
    accounts.points_balance,
    points_per_customer.points
from accounts
full outer join points_per_customer
    on
        accounts.tenant_id = points_per_customer.tenant_id
        and accounts.customer_id = points_per_customer.customer_id
where
    accounts.customer_id is null
    or accounts.points_balance <> coalesce(points_per_customer.points, 0)
