{{ config(unique_key=['tenant_id', 'shop_id']) }}

with purchases as (
    select * from {{ ref('shop_purchases') }}
),

shop_customers as (
    select * from {{ ref('shop_customers') }}
),

visits as (
    select * from {{ ref('int_shops__visits') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

facts as (
    select
        tenant_id,
        shop_id,
        0 as visits,
        case when is_counted then 1 else 0 end as orders,
        case when is_counted then net_amount else 0 end as revenue_amount
    from purchases

    union all

    select
        tenant_id,
        shop_id,
        visits,
        0 as orders,
        0 as revenue_amount
    from visits
),

facts_per_shop as (
    select
        tenant_id,
        shop_id,
        sum(visits) as visits,
        sum(orders) as orders,
        sum(revenue_amount) as revenue_amount
    from facts
    group by tenant_id, shop_id
),

customers_per_shop as (
    select
        shop_customers.tenant_id,
        shop_customers.shop_id,
        count(*) as customers,
        count(*) filter (where shop_customers.is_repeat) as repeat_customers,
        count(*) filter (
            where date_trunc(
                'month', {{ tenant_date('shop_customers.first_purchase_at', 'tenants.time_zone') }}
            ) = date_trunc('month', {{ tenant_date(as_of(), 'tenants.time_zone') }})
        ) as new_customers_this_month,
        count(*) filter (
            where {{ add_days(
                'shop_customers.first_purchase_at', 'tenants.new_shop_customer_days'
            ) }} > {{ as_of() }}
        ) as new_customers_lately,
        avg(shop_customers.total_spent_amount) as average_lifetime_value
    from shop_customers
    inner join tenants on shop_customers.tenant_id = tenants.tenant_id
    group by shop_customers.tenant_id, shop_customers.shop_id
),

currencies as (
    select * from {{ ref('tenants') }}
),

final as (
    select
        facts_per_shop.tenant_id,
        facts_per_shop.shop_id,
        coalesce(customers_per_shop.customers, 0) as customers,
        coalesce(customers_per_shop.repeat_customers, 0) as repeat_customers,
        cast(
            cast(customers_per_shop.repeat_customers as numeric)
            / nullif(customers_per_shop.customers, 0) as numeric(5, 4)
        ) as repeat_rate,
        coalesce(customers_per_shop.new_customers_this_month, 0) as new_customers_this_month,
        coalesce(customers_per_shop.new_customers_lately, 0) as new_customers_lately,
        cast(customers_per_shop.average_lifetime_value as numeric(14, 2)) as average_lifetime_value,
        cast(facts_per_shop.visits as {{ dbt.type_bigint() }}) as visits,
        cast(facts_per_shop.orders as {{ dbt.type_bigint() }}) as orders,
        cast(facts_per_shop.revenue_amount as numeric(14, 2)) as revenue_amount,
        currencies.currency
    from facts_per_shop
    inner join currencies on facts_per_shop.tenant_id = currencies.tenant_id
    left join customers_per_shop
        on
            facts_per_shop.tenant_id = customers_per_shop.tenant_id
            and facts_per_shop.shop_id = customers_per_shop.shop_id
)

select * from final
