{{ config(unique_key=['tenant_id', 'adjustment_id']) }}

with adjustments as (
    {{ owned_rows('stg_loyalty__adjustments', 'loyalty_adjustments') }}
),

final as (
    select
        tenant_id,
        adjustment_id,
        customer_id,
        adjustment_type,
        points,
        reason,
        occurred_at
    from adjustments
)

select * from final
