{{ config(unique_key=['tenant_id', 'client_event_id']) }}

-- Of events at one instant the one with the greater id is the later. Every event knows what was
-- true of its client just after it. Drops the events of clients that no contact names.
with clients as (
    select * from {{ ref('int_client_journey__clients') }}
),

client_events as (
    select * from {{ ref('int_customers__client_events') }}
),

events as (
    select
        clients.tenant_id,
        clients.customer_id,
        clients.client_id,
        client_events.client_event_id,
        client_events.stage,
        client_events.event_type,
        client_events.occurred_at,
        nullif(trim({{ json_text('client_events.metadata', 'invoice_id') }}), '') as invoice_id,
        coalesce(
            lower(trim({{ json_text('client_events.metadata', 'sentiment') }})) = 'negative', false
        ) as is_negative,
        lag(client_events.stage) over so_far as previous_stage
    from clients
    inner join client_events
        on
            clients.tenant_id = client_events.tenant_id
            and clients.client_id = client_events.client_id
    window so_far as (
        partition by clients.tenant_id, clients.client_id
        order by client_events.occurred_at, client_events.client_event_id
    )
),

final as (
    select
        tenant_id,
        customer_id,
        client_id,
        client_event_id,
        row_number() over so_far as event_number,
        stage,
        event_type,
        occurred_at,
        invoice_id,
        max(case when stage is distinct from previous_stage then occurred_at end) over so_far
            as stage_entered_at,
        max(
            case
                when event_type in ('milestone_reached', 'progress_update', 'delivery')
                    then occurred_at
            end
        ) over so_far as last_progress_at,
        sum(case when is_negative then 1 else 0 end) over so_far as negatives_so_far,
        sum(case when event_type = 'feature_used' then 1 else 0 end) over so_far as features_so_far
    from events
    window so_far as (
        partition by tenant_id, client_id
        order by occurred_at, client_event_id
        rows between unbounded preceding and current row
    )
)

select * from final
