{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_customers__touched'},
    pre_hook='{{ hash_joins_only() }}',
) }}

with members as (
    select * from {{ ref('int_loyalty__members') }}
    where {{ is_touched('int_loyalty__members') }}
),

tier_steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
),

balances as (
    select * from {{ ref('int_loyalty__balances') }}
),

tiers as (
    select * from {{ ref('int_loyalty__tiers') }}
),

-- Imported a second time: what is read twice under one name is first set aside as a whole.
steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
),

steps_per_member as (
    select
        tenant_id,
        customer_id,
        max(event_number) as last_event_number,
        max(
            case
                when event_number = 1 or tier_order is distinct from previous_tier_order
                    then occurred_at
            end
        ) as tier_achieved_at,
        sum(case when {{ is_redemption('event_type') }} then -points else 0 end)
            as lifetime_points_redeemed
    from steps
    group by tenant_id, customer_id
),

last_steps as (
    select
        tier_steps.tenant_id,
        tier_steps.customer_id,
        tier_steps.lifetime_points_earned,
        tier_steps.points_through,
        tier_steps.total_orders,
        tier_steps.tier,
        tier_steps.tier_order,
        steps_per_member.tier_achieved_at,
        steps_per_member.lifetime_points_redeemed
    from tier_steps
    inner join steps_per_member
        on
            tier_steps.tenant_id = steps_per_member.tenant_id
            and tier_steps.customer_id = steps_per_member.customer_id
            and tier_steps.event_number = steps_per_member.last_event_number
),

nets_per_member as (
    select
        tenant_id,
        customer_id,
        sum(net_after - net_before) as net_points
    from balances
    group by tenant_id, customer_id
),

final as (
    select
        members.tenant_id,
        members.customer_id,
        cast(greatest(coalesce(nets_per_member.net_points, 0), 0) as bigint) as points_balance,
        cast(greatest(-coalesce(nets_per_member.net_points, 0), 0) as bigint) as points_debt,
        last_steps.points_through as opened_points,
        last_steps.lifetime_points_earned,
        cast(coalesce(last_steps.lifetime_points_redeemed, 0) as bigint)
            as lifetime_points_redeemed,
        last_steps.total_orders,
        last_steps.tier,
        last_steps.tier_achieved_at,
        next_tiers.tier as next_tier,
        case
            when next_tiers.tier is not null
                then
                    greatest(
                        coalesce(next_tiers.min_points, 0) - last_steps.lifetime_points_earned, 0
                    )
        end as points_to_next_tier,
        members.drawn_code,
        members.joined_at
    from members
    -- every member has events
    inner join last_steps
        on
            members.tenant_id = last_steps.tenant_id
            and members.customer_id = last_steps.customer_id
    left join nets_per_member
        on
            members.tenant_id = nets_per_member.tenant_id
            and members.customer_id = nets_per_member.customer_id
    left join lateral (
        select
            tiers.tier,
            tiers.min_points
        from tiers
        where
            members.tenant_id = tiers.tenant_id
            and (last_steps.tier_order is null or tiers.tier_order > last_steps.tier_order)
        order by tiers.tier_order, tiers.tier
        limit 1
    ) as next_tiers on true
)

select * from final
