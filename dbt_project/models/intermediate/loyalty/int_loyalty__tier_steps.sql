{%- set stored_points = array_item('steps.stored_points', 'next_events.stored_number') -%}
{%- set points -%}
            cast(
                case
                    when next_events.event_type = 'order'
                        then round(next_events.base_points * coalesce(steps.points_multiplier, 1))
                    when next_events.event_type not in ('refund', 'cancellation')
                        then next_events.given_points
                    when next_events.order_amount = 0 then 0
                    else
                        round(
                            {{ stored_points }}
                            * next_events.taken_before_amount / next_events.order_amount
                        )
                        - round(
                            {{ stored_points }}
                            * next_events.taken_after_amount / next_events.order_amount
                        )
                end as bigint
            )
{%- endset -%}

-- Points depend on the tier held, and the tier on the points before: one step per event, taken for
-- all customers at once. Step 0 is the customer before any event. The next events are read through
-- an import of their own and one by one, so that each step looks them up in the index. What is
-- known of an event is carried along: nothing has to be joined to the steps afterwards. What gives
-- points opens a lot; points that come back from an unused reward do not, for they return to the
-- lots they came from.
with recursive events as (
    select * from {{ ref('int_loyalty__events') }}
),

next_events as (
    select * from {{ ref('int_loyalty__events') }}
),

tiers as (
    select * from {{ ref('int_loyalty__tiers') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

tiers_open_to_all as (
    select
        tenant_id,
        tier,
        tier_order,
        points_multiplier,
        row_number() over (partition by tenant_id order by tier_order desc, tier) as tier_rank
    from tiers
    where
        coalesce(min_points, 0) = 0
        and coalesce(min_lifetime_value, 0) = 0
        and coalesce(min_orders, 0) = 0
),

steps as (
    select
        events.tenant_id,
        events.customer_id,
        cast(0 as bigint) as event_number,
        events.event_type,
        events.source_id,
        events.order_id,
        events.occurred_at,
        cast(0 as bigint) as points,
        cast(0 as bigint) as opened_points,
        cast(0 as bigint) as points_through,
        cast(0 as bigint) as lifetime_points_earned,
        events.lifetime_value,
        events.total_orders,
        {{ dbt.array_construct([], 'bigint') }} as stored_points,
        tiers_open_to_all.tier,
        tiers_open_to_all.tier_order,
        tiers_open_to_all.points_multiplier,
        cast(null as integer) as previous_tier_order
    from events
    left join tiers_open_to_all
        on
            events.tenant_id = tiers_open_to_all.tenant_id
            and tiers_open_to_all.tier_rank = 1
    where events.event_number = 1

    union all

    select
        next_event.tenant_id,
        next_event.customer_id,
        next_event.event_number,
        next_event.event_type,
        next_event.source_id,
        next_event.order_id,
        next_event.occurred_at,
        next_event.points,
        opened.points as opened_points,
        steps.points_through + opened.points as points_through,
        steps.lifetime_points_earned + next_event.earned_points as lifetime_points_earned,
        next_event.lifetime_value,
        next_event.total_orders,
        case
            when next_event.is_stored
                then {{ dbt.array_append('steps.stored_points', 'next_event.points') }}
            else steps.stored_points
        end as stored_points,
        reached.tier,
        reached.tier_order,
        reached.points_multiplier,
        steps.tier_order as previous_tier_order
    from steps
    inner join lateral (
        select
            next_events.tenant_id,
            next_events.customer_id,
            next_events.event_number,
            next_events.event_type,
            next_events.source_id,
            next_events.order_id,
            next_events.occurred_at,
            next_events.lifetime_value,
            next_events.total_orders,
            {{ points }} as points,
            case
                when
                    next_events.event_type = 'adjustment'
                    or {{ is_redemption('next_events.event_type') }}
                    then 0
                else {{ points }}
            end as earned_points,
            next_events.event_type = 'order' and next_events.stored_number is not null
                as is_stored
        from next_events
        where
            steps.tenant_id = next_events.tenant_id
            and steps.customer_id = next_events.customer_id
            and steps.event_number + 1 = next_events.event_number
        order by next_events.event_number
        limit 1
    ) as next_event on true
    cross join
        lateral (
            values
            (
                case
                    when {{ is_redemption('next_event.event_type') }} then 0
                    else greatest(next_event.points, 0)
                end
            )
        ) as opened (points)
    left join lateral (
        select
            tiers.tier,
            tiers.tier_order,
            tiers.points_multiplier
        from tiers
        where
            next_event.tenant_id = tiers.tenant_id
            and (
                tiers.min_points is null
                or steps.lifetime_points_earned + next_event.earned_points >= tiers.min_points
            )
            and (
                tiers.min_lifetime_value is null
                or next_event.lifetime_value >= tiers.min_lifetime_value
            )
            and (tiers.min_orders is null or next_event.total_orders >= tiers.min_orders)
        order by tiers.tier_order desc, tiers.tier
        limit 1
    ) as reached on true
),

-- Points expire the same calendar day so many months later (29 February becomes 28), at the end of
-- that day in the tenant's zone.
final as (
    select
        steps.tenant_id,
        steps.customer_id,
        steps.event_number,
        steps.event_type,
        steps.source_id,
        steps.order_id,
        steps.occurred_at,
        steps.points,
        steps.opened_points,
        steps.points_through,
        case
            when steps.opened_points > 0
                then {{ end_of_day(
                    'cast(' ~ dbt.dateadd(
                        'month',
                        'cast(tenant_settings.points_expiry_months as integer)',
                        tenant_date('steps.occurred_at', 'tenant_settings.time_zone')
                    ) ~ ' as date)',
                    'tenant_settings.time_zone'
                ) }}
        end as expires_at,
        steps.lifetime_points_earned,
        steps.lifetime_value,
        steps.total_orders,
        steps.tier,
        steps.tier_order,
        steps.previous_tier_order
    from steps
    inner join tenant_settings on steps.tenant_id = tenant_settings.tenant_id
    where steps.event_number > 0
)

select * from final
