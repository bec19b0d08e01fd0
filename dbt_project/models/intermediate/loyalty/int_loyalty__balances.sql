{{ config(post_hook='analyze {{ this }}') }}

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
        expires_at,
        opened_points,
        case when {{ is_redemption('event_type') }} then -points else greatest(-points, 0) end
            as spent_points,
        null as expired_through
    from steps_with_points

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
        points_through as expired_through
    from expired_lots
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
        expires_at,
        spent_points,
        expired_through,
        row_number() over until_now as change_number,
        cast(sum(opened_points) over until_now as bigint) as opened_through,
        cast(sum(spent_points) over until_now as bigint) as spent_through
    from all_changes
    window
        until_now as (
            partition by tenant_id, customer_id
            order by occurred_at, change_order, event_number
            rows between unbounded preceding and current row
        )
),

-- An unused reward leaves the points as though it had never been asked for: what would have expired
-- without it meanwhile expires as it comes back.
returns as (
    select
        returned.tenant_id,
        returned.customer_id,
        returned.change_number as returned_number,
        spent.change_number as spent_number,
        spent.spent_points as returned_points
    from sums_until_now as returned
    inner join sums_until_now as spent
        on
            returned.tenant_id = spent.tenant_id
            and returned.customer_id = spent.customer_id
            and returned.source_id = spent.source_id
            and spent.event_type in ('redeem_discount', 'redeem_product')
    where returned.event_type in ('unused_discount', 'unused_product')
),

expired_meanwhile as (
    select
        returns.tenant_id,
        returns.customer_id,
        returns.returned_number,
        cast(
            expired.expired_through - expired.spent_through + sum(returns.returned_points) over (
                partition by returns.tenant_id, returns.customer_id, expired.change_number
                order by returns.returned_number
                rows between unbounded preceding and current row
            ) as bigint
        ) as lifted_points
    from returns
    inner join sums_until_now as expired
        on
            returns.tenant_id = expired.tenant_id
            and returns.customer_id = expired.customer_id
            and expired.expired_through is not null
            and returns.spent_number < expired.change_number
            and returns.returned_number > expired.change_number
),

lifts_on_return as (
    select
        tenant_id,
        customer_id,
        returned_number,
        max(lifted_points) as lifted_points
    from expired_meanwhile
    group by tenant_id, customer_id, returned_number
),

sums_with_lifts as (
    select
        sums_until_now.*,
        coalesce(
            sums_until_now.expired_through - sums_until_now.spent_through,
            lifts_on_return.lifted_points
        ) as lifted_points
    from sums_until_now
    left join lifts_on_return
        on
            sums_until_now.tenant_id = lifts_on_return.tenant_id
            and sums_until_now.customer_id = lifts_on_return.customer_id
            and sums_until_now.change_number = lifts_on_return.returned_number
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
        opened_through - spent_through - greatest(
            coalesce(
                max(lifted_points) over (
                    partition by tenant_id, customer_id
                    order by occurred_at, change_order, event_number
                    rows between unbounded preceding and current row
                ), 0
            ), 0
        ) as net_after
    from sums_with_lifts
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
            partition by tenant_id, customer_id
            order by occurred_at, change_order, event_number
        )
)

select * from final
