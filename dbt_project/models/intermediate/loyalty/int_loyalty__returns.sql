{{ config(
    unique_key=['tenant_id', 'customer_id', 'event_number'],
    pre_hook='{{ hash_joins_only() }}',
) }}

-- An unused reward leaves the points as though it had never been asked for: what would have expired
-- without it meanwhile expires as it comes back.
with steps_with_points as (
    select * from {{ ref('int_loyalty__tier_steps') }}
    where points <> 0
),

redeemed as (
    select * from {{ ref('int_loyalty__tier_steps') }}
    where event_type in ('redeem_discount', 'redeem_product')
),

unused as (
    select * from {{ ref('int_loyalty__tier_steps') }}
    where event_type in ('unused_discount', 'unused_product')
),

expired_lots as (
    select * from {{ ref('int_loyalty__tier_steps') }}
    where
        opened_points > 0
        and {{ visible('expires_at') }}
),

-- At one instant points expire before anything else.
expired_meanwhile as (
    select
        unused.tenant_id,
        unused.customer_id,
        unused.event_number,
        expired_lots.event_number as lot_number,
        expired_lots.expires_at,
        expired_lots.points_through,
        sum(unused.points) over (
            partition by unused.customer_id, unused.tenant_id, expired_lots.event_number
            order by unused.event_number
            rows between unbounded preceding and current row
        ) as returned_points
    from unused
    inner join redeemed
        on
            unused.tenant_id = redeemed.tenant_id
            and unused.customer_id = redeemed.customer_id
            and unused.source_id = redeemed.source_id
    inner join expired_lots
        on
            unused.tenant_id = expired_lots.tenant_id
            and unused.customer_id = expired_lots.customer_id
            and redeemed.occurred_at < expired_lots.expires_at
            and unused.occurred_at >= expired_lots.expires_at
),

lifts as (
    select
        expired_meanwhile.tenant_id,
        expired_meanwhile.customer_id,
        expired_meanwhile.event_number,
        expired_meanwhile.lot_number,
        max(expired_meanwhile.points_through) + max(expired_meanwhile.returned_points)
        - sum({{ spent_points(
            'steps_with_points.event_type', 'steps_with_points.points'
        ) }}) as lifted_points
    from expired_meanwhile
    -- the reward itself was spent before
    inner join steps_with_points
        on
            expired_meanwhile.tenant_id = steps_with_points.tenant_id
            and expired_meanwhile.customer_id = steps_with_points.customer_id
            and expired_meanwhile.expires_at > steps_with_points.occurred_at
    group by
        expired_meanwhile.tenant_id,
        expired_meanwhile.customer_id,
        expired_meanwhile.event_number,
        expired_meanwhile.lot_number
),

final as (
    select
        tenant_id,
        customer_id,
        event_number,
        cast(max(lifted_points) as bigint) as lifted_points
    from lifts
    group by tenant_id, customer_id, event_number
)

select * from final
