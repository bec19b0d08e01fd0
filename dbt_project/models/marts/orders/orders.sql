{{ config(
    unique_key=['tenant_id', 'order_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id', 'ordered_at']}],
) }}

with orders as (
    select * from {{ ref('int_orders__valued') }}
),

final as (
    select
        tenant_id,
        order_id,
        source,
        source_order_id,
        customer_id,
        status,
        is_counted,
        ordered_at,
        uncounted_at,
        gross_amount,
        discount_amount,
        refund_amount,
        net_amount,
        currency,
        net_amount_tenant,
        tenant_currency,
        discount_codes,
        shop_id,
        slug,
        collection
    from orders
)

select * from final
