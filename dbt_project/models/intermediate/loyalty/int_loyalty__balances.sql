with tier_steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
),

lots as (
    select * from {{ ref('int_loyalty__lots') }}
),

-- At one instant points expire before anything else: a lot's last instant is not its own.
all_changes as (
    select
        tenant_id,
        customer_id,
        occurred_at,
        2 as change_order,
        event_number,
        event_type,
        source_id,
        order_id,
        greatest(points, 0) as opened_points,
        greatest(-points, 0) as spent_points,
        null as expired_through
    from tier_steps
    where points <> 0

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
        0 as opened_points,
        0 as spent_points,
        points_through as expired_through
    from lots
    where {{ visible('expires_at') }}
),

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
        expired_through,
        sum(opened_points) over until_now as opened_through,
        sum(spent_points) over until_now as spent_through
    from all_changes
    window
        until_now as (
            partition by tenant_id, customer_id
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
        opened_through - spent_through - greatest(
            coalesce(
                max(expired_through - spent_through) over (
                    partition by tenant_id, customer_id
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
        net_after,
        coalesce(lag(net_after) over in_order, 0) as net_before
    from nets
    window
        in_order as (
            partition by tenant_id, customer_id
            order by occurred_at, change_order, event_number
        )
)

select * from final
