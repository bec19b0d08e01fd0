{{ config(unique_key=['tenant_id', 'message_id']) }}

with enrolments as (
    select * from {{ ref('stg_winback__enrolments') }}
),

deliveries as (
    select * from {{ ref('stg_winback__deliveries') }}
),

final as (
    select
        enrolments.tenant_id,
        enrolments.campaign_id,
        enrolments.customer_id as enrolled_customer_id,
        enrolments.enrolled_at,
        enrolments.is_held_out,
        enrolments.message_id,
        deliveries.sent_at,
        deliveries.skipped_at,
        deliveries.skip_reason
    from enrolments
    left join deliveries
        on
            enrolments.tenant_id = deliveries.tenant_id
            and enrolments.message_id = deliveries.message_id
)

select * from final
