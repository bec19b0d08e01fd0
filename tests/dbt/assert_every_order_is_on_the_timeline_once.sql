-- A returned row is an order that the timeline lacks, or an order activity without an order.
with orders as (
    select * from {{ ref('orders') }}
    where {{ is_touched('orders') }}
),

timeline as (
    select * from {{ ref('customer_activity_timeline') }}
    where {{ is_touched('customer_activity_timeline') }}
),

order_activities as (
    select *
    from timeline
    where activity_type = 'order'
)

select
    orders.tenant_id,
    orders.order_id,
    order_activities.activity_id
from orders
full outer join order_activities
    on
        orders.tenant_id = order_activities.tenant_id
        and 'order:' || orders.order_id = order_activities.activity_id
        and orders.customer_id = order_activities.customer_id
where
    orders.order_id is null
    or order_activities.activity_id is null
