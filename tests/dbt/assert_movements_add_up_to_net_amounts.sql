-- A returned row is an order whose dated movements do not add up to what it is worth now: histories
-- of stages and points would disagree with the present.
with orders as (
    select * from {{ ref('int_orders__valued') }}
),

movements as (
    select * from {{ ref('int_orders__movements') }}
),

movements_per_order as (
    select
        tenant_id,
        order_id,
        sum(amount_tenant) as amount,
        sum(order_delta) as order_count
    from movements
    group by tenant_id, order_id
)

select
    orders.tenant_id,
    orders.order_id,
    orders.status,
    orders.net_amount_tenant,
    movements_per_order.amount
from orders
full outer join movements_per_order
    on
        orders.tenant_id = movements_per_order.tenant_id
        and orders.order_id = movements_per_order.order_id
where
    coalesce(orders.net_amount_tenant, 0) <> coalesce(movements_per_order.amount, 0)
    or (case when orders.is_counted then 1 else 0 end)
    <> coalesce(movements_per_order.order_count, 0)
