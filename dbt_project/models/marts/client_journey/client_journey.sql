{{ config(
    unique_key=['tenant_id', 'client_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with clients as (
    select * from {{ ref('int_client_journey__clients') }}
),

events as (
    select * from {{ ref('int_client_journey__events') }}
),

stages as (
    select * from {{ ref('int_client_journey__path') }}
    where left_at is null
),

present_scores as (
    select * from {{ ref('int_client_journey__scores') }}
    where valid_to is null
),

events_per_client as (
    select
        tenant_id,
        client_id,
        count(*) as events,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at
    from events
    group by tenant_id, client_id
),

final as (
    select
        clients.tenant_id,
        clients.client_id,
        clients.customer_id,
        clients.client_name,
        clients.email,
        clients.status,
        stages.stage,
        stages.entered_at as stage_since,
        present_scores.score,
        present_scores.risk_level,
        present_scores.next_best_action,
        coalesce(events_per_client.events, 0) as events,
        events_per_client.first_event_at,
        events_per_client.last_event_at,
        clients.updated_at
    from clients
    -- every client has a stage and a score
    inner join stages
        on
            clients.tenant_id = stages.tenant_id
            and clients.client_id = stages.client_id
    inner join present_scores
        on
            clients.tenant_id = present_scores.tenant_id
            and clients.client_id = present_scores.client_id
    left join events_per_client
        on
            clients.tenant_id = events_per_client.tenant_id
            and clients.client_id = events_per_client.client_id
)

select * from final
