with raw_client_journey_events as (
    select * from {{ source('raw', 'client_journey_events') }}
),

current_journey_events as (
    select *
    from raw_client_journey_events
    where
        _is_current
        and {{ visible('occurred_at') }}
),

final as (
    select
        tenant_id,
        id as sighting_id,
        id as client_event_id,
        client_id,
        stage,
        event_type,
        metadata,
        occurred_at,
        _load_id as load_id,
        _loaded_at as loaded_at
    from current_journey_events
)

select * from final
