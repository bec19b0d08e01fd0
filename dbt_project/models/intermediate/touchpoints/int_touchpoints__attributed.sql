{{ config(unique_key=['tenant_id', 'touchpoint_id']) }}

-- Drops the touchpoints that name nobody.
with touchpoints as (
    {{ owned_rows('stg_touchpoints__touchpoints', 'touchpoints') }}
),

final as (
    select
        tenant_id,
        touchpoint_id,
        customer_id,
        touchpoint_type,
        channel,
        reference_id,
        reference_type,
        metadata,
        value_amount,
        collection,
        utm_source,
        utm_medium,
        utm_campaign,
        occurred_at
    from touchpoints
    where customer_id is not null
)

select * from final
