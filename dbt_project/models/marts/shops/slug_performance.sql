{{ config(unique_key=['tenant_id', 'shop_id', 'slug']) }}

with visits as (
    select * from {{ ref('int_shops__visits') }}
    where slug is not null
),

visits_with_order as (
    select * from {{ ref('int_shops__visits') }}
    where
        slug is not null
        and source_order_id is not null
),

purchases as (
    select * from {{ ref('shop_purchases') }}
    where is_counted
),

tenants as (
    select * from {{ ref('tenants') }}
),

-- A visit converts when it names an order of its shop that counts; of several that name the same
-- order, as reloaded pages do, the first.
conversions as (
    select
        visits_with_order.tenant_id,
        visits_with_order.shop_id,
        visits_with_order.slug,
        row_number() over (
            partition by purchases.order_id, purchases.tenant_id
            order by
                visits_with_order.first_accessed_at,
                visits_with_order.slug,
                visits_with_order.load_id
        ) as claim
    from visits_with_order
    inner join purchases
        on
            visits_with_order.tenant_id = purchases.tenant_id
            and visits_with_order.shop_id = purchases.shop_id
            and visits_with_order.source_order_id = purchases.source_order_id
),

orders as (
    select * from {{ ref('shop_purchases') }}
    where
        is_counted
        and slug is not null
),

facts as (
    select
        tenant_id,
        shop_id,
        slug,
        visits,
        0 as converted_visits,
        0 as orders,
        0 as first_time_orders,
        0 as repeat_orders,
        0 as revenue_amount
    from visits

    union all

    select
        tenant_id,
        shop_id,
        slug,
        0 as visits,
        1 as converted_visits,
        0 as orders,
        0 as first_time_orders,
        0 as repeat_orders,
        0 as revenue_amount
    from conversions
    where claim = 1

    union all

    select
        tenant_id,
        shop_id,
        slug,
        0 as visits,
        0 as converted_visits,
        1 as orders,
        case when purchase_number = 1 then 1 else 0 end as first_time_orders,
        case when purchase_number > 1 then 1 else 0 end as repeat_orders,
        net_amount as revenue_amount
    from orders
),

facts_per_slug as (
    select
        tenant_id,
        shop_id,
        slug,
        sum(visits) as visits,
        sum(converted_visits) as converted_visits,
        sum(orders) as orders,
        sum(first_time_orders) as first_time_orders,
        sum(repeat_orders) as repeat_orders,
        sum(revenue_amount) as revenue_amount
    from facts
    group by tenant_id, shop_id, slug
),

final as (
    select
        facts_per_slug.tenant_id,
        facts_per_slug.shop_id,
        facts_per_slug.slug,
        cast(facts_per_slug.visits as {{ dbt.type_bigint() }}) as visits,
        cast(facts_per_slug.converted_visits as {{ dbt.type_bigint() }}) as converted_visits,
        cast(
            cast(facts_per_slug.converted_visits as numeric) / nullif(facts_per_slug.visits, 0)
            as numeric(5, 4)
        ) as conversion_rate,
        cast(facts_per_slug.orders as {{ dbt.type_bigint() }}) as orders,
        cast(facts_per_slug.first_time_orders as {{ dbt.type_bigint() }}) as first_time_orders,
        cast(facts_per_slug.repeat_orders as {{ dbt.type_bigint() }}) as repeat_orders,
        cast(facts_per_slug.revenue_amount as numeric(14, 2)) as revenue_amount,
        tenants.currency
    from facts_per_slug
    inner join tenants on facts_per_slug.tenant_id = tenants.tenant_id
)

select * from final
