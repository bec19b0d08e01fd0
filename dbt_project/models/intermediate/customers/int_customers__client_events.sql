{{ config(unique_key=['tenant_id', 'client_event_id']) }}

-- Drops the events of clients that no contact record names.
with client_events as (
    {{ owned_rows('stg_clients__journey_events', 'client_journey_events') }}
),

final as (
    select
        tenant_id,
        customer_id,
        client_event_id,
        client_id,
        stage,
        event_type,
        metadata,
        occurred_at
    from client_events
    where customer_id is not null
)

select * from final
