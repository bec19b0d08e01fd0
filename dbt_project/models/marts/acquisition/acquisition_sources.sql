{{ config(unique_key=['tenant_id', 'channel', 'utm_source', 'utm_medium', 'utm_campaign']) }}

with customers as (
    select * from {{ ref('customers') }}
),

first_touches as (
    select * from {{ ref('customer_first_touches') }}
),

named_sources as (
    select
        tenant_id,
        customer_id,
        coalesce(channel, 'none') as channel,
        coalesce(utm_source, 'none') as utm_source,
        coalesce(utm_medium, 'none') as utm_medium,
        coalesce(utm_campaign, 'none') as utm_campaign
    from first_touches
),

final as (
    select
        customers.tenant_id,
        named_sources.channel,
        named_sources.utm_source,
        named_sources.utm_medium,
        named_sources.utm_campaign,
        count(*) as customers,
        count(*) filter (where customers.total_orders > 0) as buyers,
        cast(sum(customers.total_orders) as {{ dbt.type_bigint() }}) as orders,
        cast(sum(customers.lifetime_value) as numeric(14, 2)) as revenue_amount,
        customers.currency
    from customers
    -- every customer has a row there
    inner join named_sources
        on
            customers.tenant_id = named_sources.tenant_id
            and customers.customer_id = named_sources.customer_id
    group by
        customers.tenant_id,
        named_sources.channel,
        named_sources.utm_source,
        named_sources.utm_medium,
        named_sources.utm_campaign,
        customers.currency
)

select * from final
