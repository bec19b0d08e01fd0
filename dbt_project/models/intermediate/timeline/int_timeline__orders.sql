{{ config(unique_key=['tenant_id', 'activity_id']) }}

-- Orders that never counted and still might, or that failed, show too: their status is in the
-- title.
with orders as (
    select * from {{ ref('int_orders__valued') }}
),

refunds as (
    select * from {{ ref('int_orders__refunds') }}
),

order_activities as (
    select
        tenant_id,
        'order:' || order_id as activity_id,
        customer_id,
        'order' as activity_type,
        ordered_at as occurred_at,
        source,
        source_order_id as source_id,
        owed_amount as amount,
        currency,
        'Order ' || source_order_id || ' (' || replace(status, '_', ' ') || ')' as title,
        {{ json_object({
            'status': 'status',
            'is_counted': 'is_counted',
            'discount_codes': 'discount_codes',
            'collection': 'collection',
        }) }} as metadata
    from orders
),

refund_activities as (
    select
        tenant_id,
        'refund:' || refund_id as activity_id,
        customer_id,
        'refund' as activity_type,
        refunded_at as occurred_at,
        split_part(order_id, ':', 1) as source,
        refund_id as source_id,
        -amount as amount,
        currency,
        'Refund on order ' || {{ id_at_source('order_id') }} as title,
        {{ json_object({'order_id': 'order_id'}) }} as metadata
    from refunds
),

final as (
    select * from order_activities
    union all
    select * from refund_activities
)

select * from final
