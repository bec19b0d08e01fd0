{{ config(unique_key=['tenant_id', 'step']) }}

with customers as (
    select * from {{ ref('customers') }}
),

transitions as (
    select * from {{ ref('stage_transitions') }}
),

tenants as (
    select * from {{ ref('tenants') }}
),

{% set steps = ['visitors', 'leads', 'customers', 'repeat'] -%}
steps as (
    {% for step in steps -%}
        {% if not loop.first %}union all {% endif -%}
        select
            '{{ step }}' as step,
            {{ loop.index }} as step_order
    {% endfor %}
),

furthest_stages as (
    select
        tenant_id,
        customer_id,
        max(
            case
                when to_stage in ('repeat', 'vip') then 4
                when to_stage = 'customer' then 3
                when to_stage in ('lead', 'prospect') then 2
                else 1
            end
        ) as step_order
    from transitions
    group by tenant_id, customer_id
),

-- A lead captured after long silence is at risk at once and never stood in the stage of a lead.
furthest_steps as (
    select
        customers.tenant_id,
        customers.customer_id,
        case
            when customers.became_lead_at is not null then greatest(furthest_stages.step_order, 2)
            else furthest_stages.step_order
        end as step_order
    from customers
    -- everybody has a first transition
    inner join furthest_stages
        on
            customers.tenant_id = furthest_stages.tenant_id
            and customers.customer_id = furthest_stages.customer_id
),

customers_per_furthest_step as (
    select
        tenant_id,
        step_order,
        count(*) as customers
    from furthest_steps
    group by tenant_id, step_order
),

customers_per_step as (
    select
        tenants.tenant_id,
        steps.step,
        steps.step_order,
        sum(coalesce(customers_per_furthest_step.customers, 0)) as customers
    from tenants
    cross join steps
    left join customers_per_furthest_step
        on
            tenants.tenant_id = customers_per_furthest_step.tenant_id
            and steps.step_order <= customers_per_furthest_step.step_order
    group by tenants.tenant_id, steps.step, steps.step_order
),

with_steps_before as (
    select
        customers_per_step.*,
        lag(customers) over funnel as customers_before,
        first_value(customers) over funnel as customers_at_start
    from customers_per_step
    window funnel as (partition by tenant_id order by step_order)
),

final as (
    select
        tenant_id,
        step,
        step_order,
        cast(customers as {{ dbt.type_bigint() }}) as customers,
        cast(cast(customers as numeric) / nullif(customers_before, 0) as numeric(6, 4))
            as conversion_rate,
        cast(cast(customers as numeric) / nullif(customers_at_start, 0) as numeric(6, 4))
            as overall_rate
    from with_steps_before
)

select * from final
