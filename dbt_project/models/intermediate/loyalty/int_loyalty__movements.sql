{{ config(post_hook='analyze {{ this }}') }}

with balances as (
    select * from {{ ref('int_loyalty__balances') }}
),

referral_points as (
    select * from {{ ref('int_loyalty__referral_points') }}
),

-- What comes back from an unused reward to a lot that has expired meanwhile lapses at once.
-- Below zero the balance stays at zero and the rest is a debt: lent just before the movement that
-- needs it, paid back just after the movement that can.
movements_and_debts as (
    select
        balances.tenant_id,
        balances.customer_id,
        balances.occurred_at,
        balances.change_order,
        balances.event_number,
        balances.event_type,
        balances.source_id,
        case when parts.part_order = 2 then balances.expires_at end as expires_at,
        parts.part_order,
        parts.movement_type,
        parts.reference_type,
        parts.reference_id,
        parts.points
    from balances
    cross join
        lateral (
            values
            (
                2,
                case
                    when balances.event_type in ('order', 'refund', 'cancellation')
                        then 'earn_purchase'
                    when balances.event_type = 'review' then 'earn_review'
                    when balances.event_type = 'sign_up' then 'earn_signup'
                    when balances.event_type in ('referral', 'referral_taken_back')
                        then 'earn_referral'
                    when balances.event_type = 'unused_discount' then 'redeem_discount'
                    when balances.event_type = 'unused_product' then 'redeem_product'
                    else balances.event_type
                end,
                balances.event_type,
                coalesce(balances.order_id, balances.source_id),
                balances.net_after - balances.net_before + balances.lapsed_points
            ),
            (3, 'expire', 'lapse', balances.source_id, -balances.lapsed_points),
            (
                case when balances.net_after < balances.net_before then 1 else 4 end,
                'adjustment',
                'debt',
                coalesce(balances.order_id, balances.source_id),
                greatest(-balances.net_after, 0) - greatest(-balances.net_before, 0)
            )
        ) as parts (part_order, movement_type, reference_type, reference_id, points)
    where parts.points <> 0
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
    from movements_and_debts as movements
    -- a referral is named by its own id, not by that of the friend's movement
    left join referral_points
        on
            movements.tenant_id = referral_points.tenant_id
            and movements.event_type = referral_points.event_type
            and movements.source_id = referral_points.source_id
    window
        until_now as (
            partition by movements.tenant_id, movements.customer_id
            order by
                movements.occurred_at,
                movements.change_order,
                movements.event_number,
                movements.part_order
            rows between unbounded preceding and current row
        )
)

select * from final
