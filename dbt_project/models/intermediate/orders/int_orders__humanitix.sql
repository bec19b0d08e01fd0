{{ config(unique_key=['tenant_id', 'order_id']) }}

with humanitix_orders as (
    {{ owned_rows('stg_humanitix__orders', 'humanitix_orders') }}
),

priced as (
    select
        humanitix_orders.*,
        coalesce({{ json_number('purchase_totals', 'total') }}, 0) as total_amount,
        coalesce({{ json_number('purchase_totals', 'discounts') }}, 0) as discount_amount,
        coalesce({{ json_number('totals', 'refunds') }}, 0) as refunded_amount
    from humanitix_orders
),

final as (
    select
        tenant_id,
        'humanitix:' || order_id as order_id,
        'humanitix' as source,
        order_id as source_order_id,
        customer_id,
        coalesce(completed_at, created_at) as ordered_at,
        case when status = 'cancelled' then updated_at end as cancelled_at,
        case
            when financial_status = 'refunded' then total_amount
            else refunded_amount
        end as refunded_amount,
        coalesce(financial_status in ('refunded', 'partiallyRefunded'), false) as is_refunded,
        updated_at,
        is_test,
        status = 'failed' as is_failed,
        status in ('complete', 'cancelled')
        and is_completed
        and coalesce(financial_status, 'paid') <> 'pending' as is_paid,
        total_amount + discount_amount as gross_amount,
        discount_amount,
        currency,
        {{ json_text_path('discounts', ['discountCode', 'code']) }} as discount_codes
    from priced
)

select * from final
