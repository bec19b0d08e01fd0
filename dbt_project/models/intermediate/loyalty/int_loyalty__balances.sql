{{ config(pre_hook='{{ hash_joins_only() }}') }}

with steps_with_points as (
    select * from {{ ref('int_loyalty__tier_steps') }}
    where points <> 0
),

expired_lots as (
    select * from {{ ref('int_loyalty__tier_steps') }}
    where
        opened_points > 0
        and {{ visible('expires_at') }}
),

returns as (
    select * from {{ ref('int_loyalty__returns') }}
),

-- At one instant points expire before anything else: a lot's last instant is not its own.
all_changes as (
    select
        steps_with_points.tenant_id,
        steps_with_points.customer_id,
        steps_with_points.occurred_at,
        2 as change_order,
        steps_with_points.event_number,
        steps_with_points.event_type,
        steps_with_points.source_id,
        steps_with_points.order_id,
        steps_with_points.expires_at,
        steps_with_points.opened_points,
        {{ spent_points('steps_with_points.event_type', 'steps_with_points.points') }}
            as spent_points,
        null as expired_through,
        returns.lifted_points
    from steps_with_points
    left join returns
        on
            steps_with_points.tenant_id = returns.tenant_id
            and steps_with_points.customer_id = returns.customer_id
            and steps_with_points.event_number = returns.event_number

    union all

    select
        tenant_id,
        customer_id,
        expires_at as occurred_at,
        1 as change_order,
        event_number,
        'expire' as event_type,
        event_type || ':' || source_id as source_id,
        null as order_id,
        null as expires_at,
        0 as opened_points,
        0 as spent_points,
        points_through as expired_through,
        null as lifted_points
    from expired_lots
),

-- What spending and what comes back leave of a lot lifts the points that are gone to its own end.
sums_until_now as (
    select
        tenant_id,
        customer_id,
        occurred_at,
        change_order,
        event_number,
        event_type,
        source_id,
        order_id,
        expires_at,
        spent_points,
        cast(sum(opened_points - spent_points) over until_now as bigint) as unspent_through,
        cast(coalesce(expired_through - sum(spent_points) over until_now, lifted_points) as bigint)
            as lifted_points
    from all_changes
    window
        until_now as (
            partition by customer_id, tenant_id
            order by occurred_at, change_order, event_number
            rows between unbounded preceding and current row
        )
),

-- Points are used oldest first, so one number says how many of all opened points are gone. Spending
-- adds to it; an expiring lot lifts it to the lot's own end. Unrolled, that is a running maximum.
nets as (
    select
        tenant_id,
        customer_id,
        occurred_at,
        change_order,
        event_number,
        event_type,
        source_id,
        order_id,
        expires_at,
        spent_points,
        unspent_through - greatest(
            coalesce(
                max(lifted_points) over (
                    partition by customer_id, tenant_id
                    order by occurred_at, change_order, event_number
                    rows between unbounded preceding and current row
                ), 0
            ), 0
        ) as net_after
    from sums_until_now
),

final as (
    select
        tenant_id,
        customer_id,
        occurred_at,
        change_order,
        event_number,
        event_type,
        source_id,
        order_id,
        expires_at,
        net_after,
        coalesce(lag(net_after) over in_order, 0) as net_before,
        case
            when event_type in ('unused_discount', 'unused_product')
                then -spent_points - (net_after - coalesce(lag(net_after) over in_order, 0))
            else 0
        end as lapsed_points
    from nets
    window
        in_order as (
            partition by customer_id, tenant_id
            order by occurred_at, change_order, event_number
        )
)

select * from final
