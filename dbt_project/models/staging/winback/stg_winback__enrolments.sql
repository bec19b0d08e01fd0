-- An enrolment follows from the build of its instant, so it shows in builds of later ones: building
-- the same instant again gives the same rows.
with enrolments as (
    select * from {{ source('outbox', 'campaign_enrolments') }}
    where enrolled_at < {{ as_of() }}
),

final as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        enrolled_at,
        is_held_out,
        message_id
    from enrolments
)

select * from final
