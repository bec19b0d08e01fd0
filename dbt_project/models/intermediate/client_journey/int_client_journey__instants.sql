{{ config(unique_key=['tenant_id', 'client_id', 'happened_at']) }}

-- What is said of a client changes only when the contact is first known, when something happens,
-- when an event leaves a window that is looked at, and when a project has stood still for too long.
-- Future instants are listed too: they are the clock of the client's customer.
with clients as (
    select * from {{ ref('int_client_journey__clients') }}
),

events as (
    select * from {{ ref('int_client_journey__events') }}
),

overdue_invoices as (
    select * from {{ ref('int_client_journey__overdue_invoices') }}
),

settings as (
    select * from {{ ref('int_client_journey__settings') }}
),

events_with_settings as (
    select
        events.*,
        {{ add_days('events.occurred_at', 'settings.low_engagement_window_days') }}
            as engaged_until,
        {{ add_days('events.occurred_at', 'settings.low_feature_usage_window_days') }}
            as used_until,
        {{ add_days('events.occurred_at', 'settings.high_support_tickets_window_days') }}
            as supported_until,
        {{ add_days(
            'greatest(events.stage_entered_at, events.last_progress_at)',
            'settings.slow_project_progress_window_days + 1'
        ) }} as slow_from
    from events
    inner join settings on events.tenant_id = settings.tenant_id
),

{# When, for which events, and what it adds to: all events, those in the window of engagement, and
   features and tickets in theirs. -#}
{% set changes = [
    ('occurred_at', 'true', (1, 1, 0, 0)),
    ('engaged_until', 'true', (0, -1, 0, 0)),
    ('occurred_at', "event_type = 'feature_used'", (0, 0, 1, 0)),
    ('used_until', "event_type = 'feature_used'", (0, 0, -1, 0)),
    ('occurred_at', "event_type = 'support_ticket'", (0, 0, 0, 1)),
    ('supported_until', "event_type = 'support_ticket'", (0, 0, 0, -1)),
    ('slow_from', "stage = 'active_project'", (0, 0, 0, 0)),
] -%}
changes as (
    {% for at, condition, (events, engaged, features, tickets) in changes -%}
        select
            tenant_id,
            customer_id,
            client_id,
            {{ at }} as happened_at,
            {{ events }} as event_delta,
            {{ engaged }} as engaged_delta,
            {{ features }} as feature_delta,
            {{ tickets }} as ticket_delta,
            0 as overdue_delta
        from events_with_settings
        where {{ condition }}

        union all

    {% endfor -%}
    select
        tenant_id,
        customer_id,
        client_id,
        first_seen_at as happened_at,
        0 as event_delta,
        0 as engaged_delta,
        0 as feature_delta,
        0 as ticket_delta,
        0 as overdue_delta
    from clients

    union all

    select
        tenant_id,
        customer_id,
        client_id,
        overdue_at as happened_at,
        0 as event_delta,
        0 as engaged_delta,
        0 as feature_delta,
        0 as ticket_delta,
        1 as overdue_delta
    from overdue_invoices

    union all

    select
        tenant_id,
        customer_id,
        client_id,
        settled_at as happened_at,
        0 as event_delta,
        0 as engaged_delta,
        0 as feature_delta,
        0 as ticket_delta,
        -1 as overdue_delta
    from overdue_invoices
    where settled_at is not null
),

final as (
    select
        tenant_id,
        customer_id,
        client_id,
        happened_at,
        sum(event_delta) as event_delta,
        sum(engaged_delta) as engaged_delta,
        sum(feature_delta) as feature_delta,
        sum(ticket_delta) as ticket_delta,
        sum(overdue_delta) as overdue_delta
    from changes
    group by tenant_id, customer_id, client_id, happened_at
)

select * from final
