{{ config(unique_key=['tenant_id', 'customer_id', 'happened_at']) }}

-- The stage at every instant. Churned is the only stage that remembers the one before: a stretch
-- without engagement longer than the threshold is churned once the customer stood in a stage that
-- churns just before it or during it, and stays so until the stretch ends. A stage set by hand
-- holds until something happens or a crossed threshold changes what the rules say, and is then the
-- stage before.
{% set churning = "('at_risk', 'customer', 'repeat', 'churned')" -%}
with facts as (
    select * from {{ ref('int_lifecycle__facts') }}
),

settings as (
    select * from {{ ref('int_tenants__settings') }}
),

base_stages as (
    select
        facts.tenant_id,
        facts.customer_id,
        facts.happened_at,
        facts.trigger_type,
        facts.trigger_reference_id,
        facts.manual_stage,
        facts.manual_changed_at,
        facts.run_number,
        facts.days_since_engagement > settings.churned_days as is_idle,
        case
            when facts.order_count = 0 and not facts.is_lead then 'visitor'
            when
                facts.order_count = 0
                and facts.days_since_engagement > settings.lead_at_risk_days
                then 'at_risk'
            when facts.order_count = 0 and facts.is_followed_up then 'prospect'
            when facts.order_count = 0 then 'lead'
            when
                facts.order_count = 1
                and facts.days_since_purchase > settings.customer_at_risk_days
                then 'at_risk'
            when facts.order_count = 1 then 'customer'
            when
                facts.lifetime_value >= settings.vip_lifetime_value_amount
                and settings.vip_lapse_days is not null
                and facts.days_since_purchase > settings.vip_lapse_days
                then 'at_risk'
            when facts.lifetime_value >= settings.vip_lifetime_value_amount then 'vip'
            when facts.days_since_purchase > settings.repeat_at_risk_days then 'at_risk'
            else 'repeat'
        end as base_stage
    from facts
    -- every tenant has its settings
    inner join settings on facts.tenant_id = settings.tenant_id
),

with_neighbours as (
    select
        base_stages.*,
        lag(base_stage) over run as previous_base_stage,
        lag(is_idle) over run as is_previous_idle,
        lead(is_idle) over run as is_next_idle
    from base_stages
    window run as (partition by customer_id, tenant_id, run_number order by happened_at)
),

-- The latest instant at which anything was decided. Every run begins with something that happened,
-- so no decision reaches into the next run. Falling idle decides only for those who can churn.
decided as (
    select
        with_neighbours.*,
        max(
            case
                when
                    trigger_type = 'time_based'
                    and base_stage is not distinct from previous_base_stage
                    and (
                        is_idle is not distinct from is_previous_idle
                        or (
                            base_stage not in {{ churning }}
                            and coalesce(manual_stage, base_stage) not in {{ churning }}
                        )
                    )
                    then null
                else happened_at
            end
        ) over (
            partition by customer_id, tenant_id, run_number order by happened_at
        ) as decided_at
    from with_neighbours
),

held as (
    select
        decided.*,
        case when decided_at = manual_changed_at then manual_stage end as held_stage
    from decided
),

with_memory as (
    select
        held.*,
        max(
            case
                when
                    coalesce(held_stage, base_stage) in {{ churning }}
                    and (is_idle or coalesce(is_next_idle, false))
                    then happened_at
            end
        ) over (
            partition by customer_id, tenant_id, run_number order by happened_at
        ) as churning_at
    from held
),

-- What was before the latest stage set by hand is forgotten.
final as (
    select
        tenant_id,
        customer_id,
        happened_at,
        trigger_type,
        trigger_reference_id,
        case
            when held_stage is not null then held_stage
            when is_idle and churning_at >= coalesce(manual_changed_at, churning_at) then 'churned'
            else base_stage
        end as stage
    from with_memory
)

select * from final
