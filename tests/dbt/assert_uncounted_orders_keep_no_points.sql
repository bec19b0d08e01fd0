-- A returned row is an order that no longer counts and whose points were not all taken back, or an
-- order that lost more than it gave.
with tier_steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
),

order_events as (
    select * from {{ ref('int_loyalty__order_events') }}
),

points_per_order as (
    select
        tenant_id,
        order_id,
        sum(points) as points
    from tier_steps
    where order_id is not null
    group by tenant_id, order_id
),

counts_per_order as (
    select
        tenant_id,
        order_id,
        sum(order_delta) as order_count
    from order_events
    group by tenant_id, order_id
)

select
    counts_per_order.tenant_id,
    counts_per_order.order_id,
    counts_per_order.order_count,
    points_per_order.points
from counts_per_order
left join points_per_order
    on
        counts_per_order.tenant_id = points_per_order.tenant_id
        and counts_per_order.order_id = points_per_order.order_id
where
    points_per_order.points is null
    or points_per_order.points < 0
    or (counts_per_order.order_count = 0 and points_per_order.points <> 0)
