-- What is under way, or of unknown outcome, is neither sent nor skipped yet.
with deliveries as (
    select * from {{ source('outbox', 'deliveries') }}
    where
        purpose = 'winback'
        and state in ('accepted', 'skipped', 'rejected')
),

with_outcomes as (
    select
        tenant_id,
        message_id,
        case when state = 'accepted' then sent_at end as sent_at,
        case when state <> 'accepted' then updated_at end as skipped_at,
        case when state <> 'accepted' then reason end as skip_reason
    from deliveries
),

final as (
    select
        tenant_id,
        message_id,
        sent_at,
        skipped_at,
        skip_reason
    from with_outcomes
    where {{ visible('coalesce(sent_at, skipped_at)') }}
)

select * from final
