{{ config(post_hook='analyze {{ this }}') }}

with tier_steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
),

final as (
    select
        tenant_id,
        customer_id,
        event_number,
        event_type,
        source_id,
        points,
        points_through,
        occurred_at as opened_at,
        expires_at
    from tier_steps
    where opened_points > 0
)

select * from final
