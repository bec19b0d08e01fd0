-- A returned row is a tenant whose customers are worth something else than its orders: money was
-- doubled or lost on the way.
with customers as (
    select * from {{ ref('customers') }}
),

orders as (
    select * from {{ ref('orders') }}
),

customer_totals as (
    select
        tenant_id,
        sum(lifetime_value) as amount,
        sum(total_orders) as order_count
    from customers
    group by tenant_id
),

order_totals as (
    select
        tenant_id,
        sum(net_amount_tenant) as amount,
        count(*) filter (where is_counted) as order_count
    from orders
    group by tenant_id
)

select
    coalesce(customer_totals.tenant_id, order_totals.tenant_id) as tenant_id,
    customer_totals.amount as customer_amount,
    order_totals.amount as order_amount,
    customer_totals.order_count as customer_order_count,
    order_totals.order_count
from customer_totals
full outer join order_totals on customer_totals.tenant_id = order_totals.tenant_id
where
    coalesce(customer_totals.amount, 0) <> coalesce(order_totals.amount, 0)
    or coalesce(customer_totals.order_count, 0) <> coalesce(order_totals.order_count, 0)
