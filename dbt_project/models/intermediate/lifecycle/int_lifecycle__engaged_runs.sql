{{ config(unique_key=['tenant_id', 'customer_id', 'run_number']) }}

-- Engagements closer together than the shortest engagement threshold never cross one, so each chain
-- of them is one run: what the stages need is when a run began and when its last engagement was.
-- Before any engagement the clock starts when the customer was first seen. The first engagement
-- after a manual change also begins a run, for there the rules decide again.
with metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

orders as (
    select * from {{ ref('int_orders__valued') }}
),

manual_changes as (
    select * from {{ ref('int_lifecycle__manual_changes') }}
),

settings as (
    select * from {{ ref('int_tenants__settings') }}
),

engagements as (
    select
        tenant_id,
        customer_id,
        first_seen_at as engaged_at,
        cast(null as {{ dbt.type_string() }}) as reference_id
    from metrics

    union all

    select
        tenant_id,
        customer_id,
        occurred_at as engaged_at,
        'touchpoint:' || touchpoint_id as reference_id
    from touchpoints
    where touchpoint_type in ('page_view', 'email_click')

    union all

    select
        tenant_id,
        customer_id,
        ordered_at as engaged_at,
        'order:' || order_id as reference_id
    from orders
    where was_paid
),

everything as (
    select
        tenant_id,
        customer_id,
        engaged_at as happened_at,
        reference_id,
        0 as is_manual
    from engagements

    union all

    select
        tenant_id,
        customer_id,
        changed_at as happened_at,
        manual_change_id as reference_id,
        1 as is_manual
    from manual_changes
),

with_previous as (
    select
        tenant_id,
        customer_id,
        happened_at as engaged_at,
        reference_id,
        is_manual,
        lag(happened_at) over engagement_order as previous_happened_at,
        lag(is_manual) over engagement_order as previous_is_manual
    from everything
    window engagement_order as (
        partition by customer_id, tenant_id
        order by happened_at, is_manual, reference_id nulls first
    )
),

numbered as (
    select
        with_previous.tenant_id,
        with_previous.customer_id,
        with_previous.engaged_at,
        with_previous.reference_id,
        sum(
            case
                when
                    with_previous.previous_happened_at is null
                    or with_previous.previous_is_manual = 1
                    or {{ days_between(
                        'with_previous.previous_happened_at', 'with_previous.engaged_at'
                    ) }} > least(settings.lead_at_risk_days, settings.churned_days)
                    then 1
                else 0
            end
        ) over (
            partition by with_previous.customer_id, with_previous.tenant_id
            order by with_previous.engaged_at, with_previous.reference_id nulls first
        ) as run_number
    from with_previous
    -- every tenant has its settings
    inner join settings on with_previous.tenant_id = settings.tenant_id
    where with_previous.is_manual = 0
),

run_bounds as (
    select
        tenant_id,
        customer_id,
        run_number,
        min(engaged_at) as run_started_at,
        max(engaged_at) as run_ended_at
    from numbered
    group by tenant_id, customer_id, run_number
),

-- One engagement stands for the start of its run: the smallest reference of that instant.
final as (
    select
        run_bounds.tenant_id,
        run_bounds.customer_id,
        run_bounds.run_number,
        run_bounds.run_started_at,
        run_bounds.run_ended_at,
        min(numbered.reference_id) as reference_id
    from run_bounds
    inner join numbered
        on
            run_bounds.tenant_id = numbered.tenant_id
            and run_bounds.customer_id = numbered.customer_id
            and run_bounds.run_number = numbered.run_number
            and run_bounds.run_started_at = numbered.engaged_at
    group by
        run_bounds.tenant_id,
        run_bounds.customer_id,
        run_bounds.run_number,
        run_bounds.run_started_at,
        run_bounds.run_ended_at
)

select * from final
