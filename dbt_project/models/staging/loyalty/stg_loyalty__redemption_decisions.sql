-- A decision follows from the build of its instant, so it shows in builds of later ones: building
-- the same instant again gives the same rows.
with redemption_decisions as (
    select * from {{ source('outbox', 'redemption_decisions') }}
    where decided_at < {{ as_of() }}
),

final as (
    select
        tenant_id,
        request_id,
        decision,
        reason,
        reward_id,
        movement_type,
        points,
        code,
        decided_at,
        expires_at
    from redemption_decisions
)

select * from final
