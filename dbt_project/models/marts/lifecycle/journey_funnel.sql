{{ config(unique_key=['tenant_id', 'step']) }}

with customers as (
    select * from {{ ref('customers') }}
),

-- An order that was given back is no purchase of the present any more, but was bought.
orders_given_back as (
    select
        tenant_id,
        customer_id,
        min(ordered_at) as bought_at
    from {{ ref('orders') }}
    where ordered_at < uncounted_at
    group by tenant_id, customer_id
),

leads_by_hand as (
    select
        tenant_id,
        customer_id,
        min(transitioned_at) as called_at
    from {{ ref('stage_transitions') }}
    where
        trigger_type = 'manual'
        and to_stage in ('lead', 'prospect')
    group by tenant_id, customer_id
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

-- A lead captured after long silence is at risk at once and never stood in the stage of a lead.
-- Whose stage was set by hand at the instant of the order never stood in that of a customer.
furthest_steps as (
    select
        customers.tenant_id,
        customers.customer_id,
        case
            when coalesce(customers.became_repeat_at, customers.became_vip_at) is not null then 4
            when
                coalesce(
                    customers.became_customer_at,
                    customers.first_purchase_at,
                    orders_given_back.bought_at
                ) is not null
                then 3
            when coalesce(customers.became_lead_at, leads_by_hand.called_at) is not null then 2
            else 1
        end as step_order
    from customers
    left join orders_given_back
        on
            customers.tenant_id = orders_given_back.tenant_id
            and customers.customer_id = orders_given_back.customer_id
    left join leads_by_hand
        on
            customers.tenant_id = leads_by_hand.tenant_id
            and customers.customer_id = leads_by_hand.customer_id
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
