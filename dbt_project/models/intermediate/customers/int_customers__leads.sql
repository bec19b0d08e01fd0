{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- What follows the capture is any later touchpoint, also another capture.
with captures as (
    select * from {{ ref('int_customers__lead_captures') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

follow_ups as (
    select
        captures.tenant_id,
        captures.customer_id,
        captures.captured_at,
        captures.reference_id,
        touchpoints.occurred_at,
        touchpoints.touchpoint_id,
        row_number() over (
            partition by captures.customer_id, captures.tenant_id
            order by touchpoints.occurred_at, touchpoints.touchpoint_id
        ) as follow_up_order
    from captures
    left join touchpoints
        on
            captures.tenant_id = touchpoints.tenant_id
            and captures.customer_id = touchpoints.customer_id
            and captures.captured_at < touchpoints.occurred_at
),

final as (
    select
        tenant_id,
        customer_id,
        captured_at as became_lead_at,
        reference_id as capture_reference_id,
        occurred_at as followed_up_at,
        'touchpoint:' || touchpoint_id as follow_up_reference_id
    from follow_ups
    where follow_up_order = 1
)

select * from final
