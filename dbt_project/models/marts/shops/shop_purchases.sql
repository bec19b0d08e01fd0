{{ config(
    unique_key=['tenant_id', 'order_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id', 'ordered_at']}],
) }}

with purchases as (
    select * from {{ ref('int_shops__purchases') }}
),

final as (
    select
        tenant_id,
        order_id,
        source_order_id,
        customer_id,
        shop_id,
        slug,
        phone,
        network,
        status,
        is_counted,
        ordered_at,
        ordered_on,
        purchase_number,
        net_amount,
        currency
    from purchases
)

select * from final
