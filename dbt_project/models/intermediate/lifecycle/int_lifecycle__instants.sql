{{ config(unique_key=['tenant_id', 'customer_id', 'happened_at']) }}

-- A stage can only change when something happens or when a threshold is crossed. Days are whole
-- 24-hour periods, so "more than n days" begins n + 1 days after the event. Thresholds that lie
-- ahead are listed too.
with metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

leads as (
    select * from {{ ref('int_customers__leads') }}
),

movements as (
    select * from {{ ref('int_orders__movements') }}
),

recoveries as (
    select * from {{ ref('int_winback__sends') }}
    where is_recovered
),

engaged_runs as (
    select * from {{ ref('int_lifecycle__engaged_runs') }}
),

manual_changes as (
    select * from {{ ref('int_lifecycle__manual_changes') }}
),

settings as (
    select * from {{ ref('int_tenants__settings') }}
),

{# trigger_rank: of several things at one instant the first one named here is the trigger. -#}
things_that_happened as (
    select
        tenant_id,
        customer_id,
        changed_at as happened_at,
        0 as trigger_rank,
        'manual' as trigger_type,
        'manual:' || manual_change_id as trigger_reference_id
    from manual_changes

    union all

    select
        tenant_id,
        customer_id,
        first_seen_at as happened_at,
        1 as trigger_rank,
        'first_seen' as trigger_type,
        cast(null as {{ dbt.type_string() }}) as trigger_reference_id
    from metrics

    union all

    select
        tenant_id,
        customer_id,
        ordered_at as happened_at,
        2 as trigger_rank,
        'winback_recovery' as trigger_type,
        'campaign:' || campaign_id as trigger_reference_id
    from recoveries

    union all

    select
        tenant_id,
        customer_id,
        occurred_at as happened_at,
        case when movement_type = 'order' then 3 else 4 end as trigger_rank,
        case when movement_type = 'order' then 'purchase' else 'refund' end as trigger_type,
        'order:' || order_id as trigger_reference_id
    from movements

    union all

    select
        tenant_id,
        customer_id,
        became_lead_at as happened_at,
        5 as trigger_rank,
        'engagement' as trigger_type,
        capture_reference_id as trigger_reference_id
    from leads

    union all

    select
        tenant_id,
        customer_id,
        followed_up_at as happened_at,
        5 as trigger_rank,
        'engagement' as trigger_type,
        follow_up_reference_id as trigger_reference_id
    from leads
    where followed_up_at is not null

    union all

    select
        tenant_id,
        customer_id,
        run_started_at as happened_at,
        5 as trigger_rank,
        'engagement' as trigger_type,
        reference_id as trigger_reference_id
    from engaged_runs
),

clocks as (
    select
        engaged_runs.tenant_id,
        engaged_runs.customer_id,
        engaged_runs.run_ended_at as started_at,
        settings.lead_at_risk_days as threshold_days
    from engaged_runs
    inner join settings on engaged_runs.tenant_id = settings.tenant_id

    union all

    select
        engaged_runs.tenant_id,
        engaged_runs.customer_id,
        engaged_runs.run_ended_at as started_at,
        settings.churned_days as threshold_days
    from engaged_runs
    inner join settings on engaged_runs.tenant_id = settings.tenant_id
    {% for setting in ['customer_at_risk_days', 'repeat_at_risk_days', 'vip_lapse_days'] %}
        union all

        select
            movements.tenant_id,
            movements.customer_id,
            movements.occurred_at as started_at,
            settings.{{ setting }} as threshold_days
        from movements
        inner join settings on movements.tenant_id = settings.tenant_id
        where
            movements.movement_type = 'order'
            and settings.{{ setting }} is not null
    {% endfor -%}
),

thresholds_crossed as (
    select
        tenant_id,
        customer_id,
        {{ add_days('started_at', 'threshold_days + 1') }} as happened_at,
        6 as trigger_rank,
        'time_based' as trigger_type,
        cast(null as {{ dbt.type_string() }}) as trigger_reference_id
    from clocks
),

everything as (
    select * from things_that_happened
    union all
    select * from thresholds_crossed
),

ranked as (
    select
        everything.*,
        row_number() over (
            partition by customer_id, tenant_id, happened_at
            order by trigger_rank, trigger_reference_id
        ) as precedence
    from everything
),

final as (
    select
        tenant_id,
        customer_id,
        happened_at,
        trigger_type,
        trigger_reference_id
    from ranked
    where precedence = 1
)

select * from final
