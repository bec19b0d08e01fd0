{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id', 'month'],
    meta={'within': 'int_customers__touched'},
) }}

with orders as (
    select * from {{ ref('int_orders__valued') }}
    where is_counted
),

tenants as (
    select * from {{ ref('tenants') }}
),

dated as (
    select
        orders.tenant_id,
        orders.customer_id,
        orders.net_amount_tenant,
        orders.tenant_currency,
        cast(
            date_trunc('month', {{ tenant_date('orders.ordered_at', 'tenants.time_zone') }}) as date
        ) as month
    from orders
    inner join tenants on orders.tenant_id = tenants.tenant_id
),

final as (
    select
        tenant_id,
        customer_id,
        month,
        max(tenant_currency) as currency,
        count(*) as orders,
        cast(sum(net_amount_tenant) as numeric(14, 2)) as net_amount
    from dated
    group by tenant_id, customer_id, month
)

select * from final
