with moved_balances as (
    select * from {{ ref('int_loyalty__balances') }}
    where net_after - net_before + lapsed_points <> 0
),

lapsed_balances as (
    select * from {{ ref('int_loyalty__balances') }}
    where lapsed_points <> 0
),

indebted_balances as (
    select * from {{ ref('int_loyalty__balances') }}
    where greatest(-net_after, 0) <> greatest(-net_before, 0)
),

referral_points as (
    select * from {{ ref('int_loyalty__referral_points') }}
),

-- What comes back from an unused reward to a lot that has expired meanwhile lapses at once.
-- Below zero the balance stays at zero and the rest is a debt: lent just before the movement that
-- needs it, paid back just after the movement that can.
all_movements as (
    select
        tenant_id,
        customer_id,
        occurred_at,
        change_order,
        event_number,
        event_type,
        source_id,
        2 as part_order,
        case
            when event_type in ('order', 'refund', 'cancellation') then 'earn_purchase'
            when event_type = 'review' then 'earn_review'
            when event_type = 'sign_up' then 'earn_signup'
            when event_type in ('referral', 'referral_taken_back') then 'earn_referral'
            when event_type = 'unused_discount' then 'redeem_discount'
            when event_type = 'unused_product' then 'redeem_product'
            else event_type
        end as movement_type,
        event_type as reference_type,
        coalesce(order_id, source_id) as reference_id,
        net_after - net_before + lapsed_points as points,
        expires_at
    from moved_balances

    union all

    select
        tenant_id,
        customer_id,
        occurred_at,
        change_order,
        event_number,
        event_type,
        source_id,
        3 as part_order,
        'expire' as movement_type,
        'lapse' as reference_type,
        source_id as reference_id,
        -lapsed_points as points,
        null as expires_at
    from lapsed_balances

    union all

    select
        tenant_id,
        customer_id,
        occurred_at,
        change_order,
        event_number,
        event_type,
        source_id,
        case when net_after < net_before then 1 else 4 end as part_order,
        'adjustment' as movement_type,
        'debt' as reference_type,
        coalesce(order_id, source_id) as reference_id,
        greatest(-net_after, 0) - greatest(-net_before, 0) as points,
        null as expires_at
    from indebted_balances
),

final as (
    select
        movements.tenant_id,
        {{ hash_id([
            'movements.tenant_id', 'movements.event_type', 'movements.source_id',
            'movements.reference_type',
        ]) }} as movement_id,
        movements.customer_id,
        row_number() over until_now as movement_number,
        movements.movement_type,
        movements.points,
        cast(sum(movements.points) over until_now - movements.points as bigint) as balance_before,
        cast(sum(movements.points) over until_now as bigint) as balance_after,
        movements.reference_type,
        coalesce(referral_points.referral_id, movements.reference_id) as reference_id,
        movements.expires_at,
        movements.occurred_at
    from all_movements as movements
    -- a referral is named by its own id, not by that of the friend's movement
    left join referral_points
        on
            movements.tenant_id = referral_points.tenant_id
            and movements.event_type = referral_points.event_type
            and movements.source_id = referral_points.source_id
    window
        until_now as (
            partition by movements.customer_id, movements.tenant_id
            order by
                movements.occurred_at,
                movements.change_order,
                movements.event_number,
                movements.part_order
            rows between unbounded preceding and current row
        )
)

select * from final
