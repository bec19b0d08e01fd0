{{ config(unique_key=['tenant_id', 'shop_id', 'bucket']) }}

with shops as (
    select * from {{ ref('shop_overview') }}
),

shop_customers as (
    select * from {{ ref('shop_customers') }}
),

buckets as (
    select * from {{ ref('int_shops__buckets') }}
    where dimension = 'purchase_decay'
),

measured as (
    select
        shop_customers.tenant_id,
        shop_customers.shop_id,
        shop_customers.phone,
        shop_customers.total_purchases,
        shop_customers.total_spent_amount,
        {{ days_between('shop_customers.last_purchase_at', as_of()) }} as value
    from shop_customers
),

final as (
    select
        shops.tenant_id,
        shops.shop_id,
        buckets.bucket,
        buckets.min_value,
        count(measured.phone) as customers,
        cast(
            cast(count(measured.phone) as numeric) / nullif(max(shops.customers), 0)
            as numeric(5, 4)
        ) as customer_rate,
        cast(coalesce(sum(measured.total_purchases), 0) as {{ dbt.type_bigint() }}) as orders,
        cast(coalesce(sum(measured.total_spent_amount), 0) as numeric(14, 2)) as revenue_amount,
        max(shops.currency) as currency
    from shops
    inner join buckets on shops.tenant_id = buckets.tenant_id
    left join measured
        on
            shops.tenant_id = measured.tenant_id
            and shops.shop_id = measured.shop_id
            and buckets.min_value <= measured.value
            and (buckets.max_value is null or buckets.max_value > measured.value)
    group by shops.tenant_id, shops.shop_id, buckets.bucket, buckets.min_value
)

select * from final
