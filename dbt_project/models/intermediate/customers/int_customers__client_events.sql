-- Drops the events of clients that no contact record names.
with client_events as (
    select * from {{ ref('stg_clients__journey_events') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

final as (
    select
        client_events.tenant_id,
        identifiers.customer_id,
        client_events.client_event_id,
        client_events.client_id,
        client_events.stage,
        client_events.event_type,
        client_events.metadata,
        client_events.occurred_at
    from client_events
    inner join identifiers
        on
            client_events.tenant_id = identifiers.tenant_id
            and identifiers.identifier_type = 'contact'
            and client_events.client_id = identifiers.identifier
)

select * from final
