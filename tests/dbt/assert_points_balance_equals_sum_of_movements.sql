-- A returned row is a member whose balance differs from the sum of the movements, or who has one
-- without the other.
with accounts as (
    select * from {{ ref('loyalty_accounts') }}
    where {{ is_touched('loyalty_accounts') }}
),

movements as (
    select * from {{ ref('int_loyalty__movements') }}
),

points_per_customer as (
    select
        tenant_id,
        customer_id,
        sum(points) as points
    from movements
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
