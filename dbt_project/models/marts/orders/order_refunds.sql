{{ config(
    unique_key=['tenant_id', 'refund_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[
        {'columns': ['tenant_id', 'order_id']},
        {'columns': ['tenant_id', 'customer_id']},
    ],
) }}

with refunds as (
    select * from {{ ref('int_orders__refunds') }}
),

final as (
    select
        tenant_id,
        refund_id,
        order_id,
        customer_id,
        refunded_at,
        amount,
        currency,
        amount_tenant,
        tenant_currency
    from refunds
)

select * from final
