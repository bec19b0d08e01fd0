{{ config(unique_key=['tenant_id', 'campaign_id', 'customer_id']) }}

-- Who came back without the message: the held out, measured from when theirs would have been due,
-- as though it had been sent then. An order that a later message claims is not theirs either.
with held_out as (
    select * from {{ ref('int_winback__due') }}
    where is_held_out
),

counted_orders as (
    select * from {{ ref('int_orders__valued') }}
    where is_counted
),

sends as (
    select * from {{ ref('int_winback__sends') }}
),

ranked_orders as (
    select
        held_out.tenant_id,
        held_out.campaign_id,
        held_out.customer_id,
        held_out.due_at,
        counted_orders.order_id,
        counted_orders.ordered_at,
        row_number() over (
            partition by held_out.tenant_id, held_out.campaign_id, held_out.customer_id
            order by counted_orders.ordered_at, counted_orders.order_id
        ) as order_number
    from held_out
    inner join counted_orders
        on
            held_out.tenant_id = counted_orders.tenant_id
            and held_out.customer_id = counted_orders.customer_id
            and held_out.due_at < counted_orders.ordered_at
            and held_out.attribution_ends_at > counted_orders.ordered_at
),

final as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        order_id,
        ordered_at
    from ranked_orders
    where
        order_number = 1
        and not exists (
            select 1
            from sends
            where
                ranked_orders.tenant_id = sends.tenant_id
                and ranked_orders.order_id = sends.order_id
                and ranked_orders.due_at <= sends.sent_at
        )
)

select * from final
