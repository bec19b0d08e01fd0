{{ config(pre_hook='{{ hash_joins_only() }}') }}

with tier_steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
    where opened_points > 0
),

accounts as (
    select * from {{ ref('int_loyalty__accounts') }}
),

-- Oldest first: of all points ever opened, those that are not in the account are gone.
used_per_account as (
    select
        tenant_id,
        customer_id,
        opened_points - (points_balance - points_debt) as used_points
    from accounts
),

final as (
    select
        tier_steps.tenant_id,
        tier_steps.customer_id,
        tier_steps.event_number,
        tier_steps.event_type,
        tier_steps.source_id,
        tier_steps.points,
        greatest(
            least(
                tier_steps.points, tier_steps.points_through - used_per_account.used_points
            ), 0
        ) as remaining_points,
        tier_steps.occurred_at as opened_at,
        tier_steps.expires_at
    from tier_steps
    -- whoever was given points is a member
    inner join used_per_account
        on
            tier_steps.tenant_id = used_per_account.tenant_id
            and tier_steps.customer_id = used_per_account.customer_id
)

select * from final
