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

last_steps as (
    select
        tenant_id,
        customer_id,
        lifetime_points_earned,
        points_through,
        total_orders,
        tier,
        tier_order,
        row_number() over (
            partition by tenant_id, customer_id
            order by event_number desc
        ) as step_from_last,
        max(
            case
                when event_number = 1 or tier_order is distinct from previous_tier_order
                    then occurred_at
            end
        ) over (partition by tenant_id, customer_id) as tier_achieved_at,
        sum(
            case when {{ is_redemption('event_type') }} then -points else 0 end
        ) over (partition by tenant_id, customer_id) as lifetime_points_redeemed
    from tier_steps
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
            and last_steps.step_from_last = 1
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
