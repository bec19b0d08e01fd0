{{ config(unique_key=['tenant_id', 'movement_id']) }}

with order_movements as (
    select * from {{ ref('int_orders__movements') }}
),

counted_orders as (
    select
        tenant_id,
        order_id,
        occurred_at,
        amount_tenant
    from order_movements
    where movement_type = 'order'
),

-- Nothing is taken back before it was given, whatever the refund's own date says.
dated_movements as (
    select
        order_movements.tenant_id,
        order_movements.customer_id,
        order_movements.order_id,
        order_movements.movement_id,
        order_movements.movement_type,
        greatest(order_movements.occurred_at, counted_orders.occurred_at) as occurred_at,
        case order_movements.movement_type
            when 'order' then 1
            when 'refund' then 2
            else 3
        end as movement_order,
        order_movements.order_delta,
        order_movements.amount_tenant,
        greatest(counted_orders.amount_tenant, 0) as order_amount,
        case
            when order_movements.movement_type = 'order' then 0
            else -order_movements.amount_tenant
        end as taken_amount
    from order_movements
    inner join counted_orders
        on
            order_movements.tenant_id = counted_orders.tenant_id
            and order_movements.order_id = counted_orders.order_id
    where
        {{ visible('order_movements.occurred_at') }}
        and {{ visible('counted_orders.occurred_at') }}
),

-- What has been taken back of an order so far; all of it once the order no longer counts.
taken_so_far as (
    select
        tenant_id,
        customer_id,
        order_id,
        movement_id,
        movement_type,
        movement_order,
        occurred_at,
        order_delta,
        amount_tenant,
        order_amount,
        case
            when sum(order_delta) over in_order_until_now <= 0 then order_amount
            else greatest(least(sum(taken_amount) over in_order_until_now, order_amount), 0)
        end as taken_after_amount
    from dated_movements
    window
        in_order_until_now as (
            partition by order_id, tenant_id
            order by occurred_at, movement_order, movement_id
            rows between unbounded preceding and current row
        )
),

final as (
    select
        tenant_id,
        customer_id,
        order_id,
        movement_id,
        movement_type,
        occurred_at,
        order_delta,
        amount_tenant,
        order_amount,
        cast(coalesce(lag(taken_after_amount) over in_order, 0) as numeric(14, 2))
            as taken_before_amount,
        cast(taken_after_amount as numeric(14, 2)) as taken_after_amount,
        count(*) over (partition by order_id, tenant_id) > 1 as has_take_back
    from taken_so_far
    window
        in_order as (
            partition by order_id, tenant_id
            order by occurred_at, movement_order, movement_id
        )
)

select * from final
