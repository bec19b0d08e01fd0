with redemption_decisions as (
    select * from {{ source('outbox', 'redemption_decisions') }}
    where {{ visible('decided_at') }}
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
