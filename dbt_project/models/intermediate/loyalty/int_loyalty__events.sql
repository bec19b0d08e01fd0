{{ config(
    unique_key=['tenant_id', 'customer_id', 'event_number'],
    pre_hook='{{ hash_joins_only() }}',
    indexes=[{'columns': ['source_id', 'event_type', 'tenant_id'], 'unique': true}],
) }}

with order_events as (
    select * from {{ ref('int_loyalty__order_events') }}
),

shrinking_orders as (
    select * from {{ ref('int_loyalty__order_events') }}
    where
        movement_type = 'order'
        and has_take_back
),

given_points as (
    select * from {{ ref('int_loyalty__given_points') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

all_events as (
    select
        order_events.tenant_id,
        order_events.customer_id,
        order_events.movement_type as event_type,
        order_events.movement_id as source_id,
        order_events.order_id,
        order_events.occurred_at,
        order_events.order_delta,
        order_events.amount_tenant,
        cast(0 as bigint) as given_points,
        floor(order_events.order_amount) * tenant_settings.points_per_unit as base_points,
        order_events.order_amount,
        order_events.taken_before_amount,
        order_events.taken_after_amount
    from order_events
    inner join tenant_settings on order_events.tenant_id = tenant_settings.tenant_id

    union all

    select
        tenant_id,
        customer_id,
        event_type,
        source_id,
        null as order_id,
        occurred_at,
        0 as order_delta,
        0 as amount_tenant,
        points as given_points,
        0 as base_points,
        0 as order_amount,
        0 as taken_before_amount,
        0 as taken_after_amount
    from given_points
),

-- At one instant a member joins first, and everything is given before anything is spent or taken
-- back.
numbered_events as (
    select
        tenant_id,
        customer_id,
        event_type,
        source_id,
        order_id,
        occurred_at,
        given_points,
        base_points,
        order_amount,
        taken_before_amount,
        taken_after_amount,
        row_number() over until_now as event_number,
        cast(coalesce(sum(amount_tenant) over until_now, 0) as numeric(14, 2)) as lifetime_value,
        sum(order_delta) over until_now as total_orders
    from all_events
    window
        until_now as (
            partition by customer_id, tenant_id
            order by
                occurred_at,
                case event_type
                    when 'sign_up' then 1
                    when 'order' then 2
                    when 'review' then 3
                    when 'referral' then 3
                    when 'earn_birthday' then 4
                    when 'earn_bonus' then 5
                    when 'adjustment' then 6
                    when 'unused_discount' then 7
                    when 'unused_product' then 7
                    when 'redeem_discount' then 8
                    when 'redeem_product' then 8
                    when 'refund' then 9
                    when 'referral_taken_back' then 9
                    else 10
                end,
                source_id
            rows between unbounded preceding and current row
        )
),

-- The orders of a customer that lose points later, counted in the order of their events.
stored_orders as (
    select
        tenant_id,
        order_id,
        row_number() over (
            partition by customer_id, tenant_id
            order by occurred_at, movement_id
        ) as stored_number
    from shrinking_orders
),

final as (
    select
        numbered_events.tenant_id,
        numbered_events.customer_id,
        numbered_events.event_number,
        numbered_events.event_type,
        numbered_events.source_id,
        numbered_events.order_id,
        numbered_events.occurred_at,
        numbered_events.given_points,
        numbered_events.base_points,
        numbered_events.order_amount,
        numbered_events.taken_before_amount,
        numbered_events.taken_after_amount,
        stored_orders.stored_number,
        numbered_events.lifetime_value,
        numbered_events.total_orders
    from numbered_events
    left join stored_orders
        on
            numbered_events.tenant_id = stored_orders.tenant_id
            and numbered_events.order_id = stored_orders.order_id
)

select * from final
