{{ config(unique_key=['tenant_id', 'dimension', 'value']) }}

with customers as (
    select * from {{ ref('customers') }}
),

tenants as (
    select * from {{ ref('tenants') }}
),

collections as (
    select * from {{ ref('int_scoring__collections') }}
),

{% set stages = [
    'visitor', 'lead', 'prospect', 'customer', 'repeat', 'vip', 'at_risk', 'churned',
] -%}
stages as (
    {% for stage in stages -%}
        {% if not loop.first %}union all {% endif -%}
        select
            '{{ stage }}' as stage,
            {{ loop.index }} as stage_order
    {% endfor %}
),

every_value as (
    select
        tenant_id,
        currency,
        'total' as dimension,
        'all' as value,
        1 as value_order
    from tenants

    union all

    select
        tenants.tenant_id,
        tenants.currency,
        'stage' as dimension,
        stages.stage as value,
        stages.stage_order as value_order
    from tenants
    cross join stages

    union all

    select
        tenants.tenant_id,
        tenants.currency,
        'collection' as dimension,
        collections.collection as value,
        collections.collection_order as value_order
    from tenants
    inner join collections on tenants.tenant_id = collections.tenant_id

    union all

    select
        tenants.tenant_id,
        tenants.currency,
        'collection' as dimension,
        'none' as value,
        max(collections.collection_order) + 1 as value_order
    from tenants
    inner join collections on tenants.tenant_id = collections.tenant_id
    group by tenants.tenant_id, tenants.currency
),

-- One pass over the customers; the few groups that are left are then summed by each dimension.
groups as (
    select
        tenant_id,
        stage,
        coalesce(primary_collection, 'none') as collection,
        count(*) as customers,
        sum(lifetime_value) as lifetime_value
    from customers
    group by tenant_id, stage, coalesce(primary_collection, 'none')
),

totals_per_value as (
    select
        every_value.tenant_id,
        every_value.dimension,
        every_value.value,
        every_value.value_order,
        every_value.currency,
        coalesce(sum(groups.customers), 0) as customers,
        coalesce(sum(groups.customers) filter (where groups.stage = 'at_risk'), 0)
            as at_risk_count,
        sum(groups.lifetime_value) as lifetime_value
    from every_value
    left join groups
        on
            every_value.tenant_id = groups.tenant_id
            and (
                every_value.dimension = 'total'
                or (every_value.dimension = 'stage' and every_value.value = groups.stage)
                or (every_value.dimension = 'collection' and every_value.value = groups.collection)
            )
    group by
        every_value.tenant_id,
        every_value.dimension,
        every_value.value,
        every_value.value_order,
        every_value.currency
),

with_total as (
    select
        totals_per_value.*,
        max(customers) filter (where dimension = 'total') over (partition by tenant_id)
            as all_customers
    from totals_per_value
),

final as (
    select
        tenant_id,
        dimension,
        value,
        value_order,
        cast(customers as {{ dbt.type_bigint() }}) as customers,
        cast(cast(customers as numeric) / nullif(all_customers, 0) as numeric(6, 4))
            as share,
        cast(at_risk_count as {{ dbt.type_bigint() }}) as at_risk_count,
        cast(lifetime_value / nullif(customers, 0) as numeric(14, 2)) as average_lifetime_value,
        currency
    from with_total
)

select * from final
