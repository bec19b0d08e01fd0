{{ config(unique_key=['tenant_id', 'activity_id']) }}

-- Of whoever gives: who receives is named, but is not evidence of anybody.
with gifts as (
    {{ owned_rows('stg_gifts_coupons__gifts', 'gifts') }}
),

final as (
    select
        tenant_id,
        'gift:' || gift_id as activity_id,
        customer_id,
        'gift' as activity_type,
        created_at as occurred_at,
        'gifts' as source,
        gift_id as source_id,
        cast(null as numeric(14, 2)) as amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        'Gift to ' || coalesce(recipient_name, 'somebody') as title,
        {{ json_object({
            'order_id': 'order_id',
            'scheduled_delivery_at': timestamp_text('scheduled_delivery_at'),
        }) }} as metadata
    from gifts
    where customer_id is not null
)

select * from final
