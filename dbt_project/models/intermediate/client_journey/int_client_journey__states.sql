{{ config(unique_key=['tenant_id', 'client_id', 'happened_at']) }}

-- The one place where stage and risks are decided, at every instant at which they may change.
with instants as (
    select * from {{ ref('int_client_journey__instants') }}
    where {{ visible('happened_at') }}
),

latest_events as (
    select * from {{ ref('int_client_journey__events') }}
),

earlier_events as (
    select * from {{ ref('int_client_journey__events') }}
),

stages as (
    select * from {{ ref('int_client_journey__stages') }}
),

settings as (
    select * from {{ ref('int_client_journey__settings') }}
),

running as (
    select
        tenant_id,
        customer_id,
        client_id,
        happened_at,
        sum(event_delta) over so_far as event_count,
        sum(engaged_delta) over so_far as engaged_count,
        sum(feature_delta) over so_far as feature_count,
        sum(ticket_delta) over so_far as ticket_count,
        sum(overdue_delta) over so_far as overdue_count
    from instants
    window so_far as (partition by tenant_id, client_id order by happened_at)
),

with_stage as (
    select
        running.*,
        latest_events.stage_entered_at,
        latest_events.last_progress_at,
        latest_events.features_so_far,
        latest_events.negatives_so_far - coalesce(earlier_events.negatives_so_far, 0)
            as negative_count,
        coalesce(latest_events.stage, 'lead') as stage,
        settings.low_engagement_event_count,
        settings.negative_sentiment_event_count,
        settings.slow_project_progress_window_days,
        settings.low_feature_usage_event_count,
        settings.high_support_tickets_event_count,
        settings.onboarding_order
    from running
    inner join settings on running.tenant_id = settings.tenant_id
    left join latest_events
        on
            running.tenant_id = latest_events.tenant_id
            and running.client_id = latest_events.client_id
            and running.event_count = latest_events.event_number
    left join earlier_events
        on
            running.tenant_id = earlier_events.tenant_id
            and running.client_id = earlier_events.client_id
            and running.event_count - settings.negative_sentiment_window_events
            = earlier_events.event_number
),

final as (
    select
        with_stage.tenant_id,
        with_stage.customer_id,
        with_stage.client_id,
        with_stage.happened_at,
        with_stage.stage,
        with_stage.engaged_count < with_stage.low_engagement_event_count as has_low_engagement,
        with_stage.overdue_count > 0 as has_late_invoices,
        coalesce(with_stage.negative_count >= with_stage.negative_sentiment_event_count, false)
            as has_negative_sentiment,
        with_stage.stage = 'active_project'
        and {{ days_between(
            'greatest(with_stage.stage_entered_at, with_stage.last_progress_at)',
            'with_stage.happened_at'
        ) }} > with_stage.slow_project_progress_window_days as has_slow_project_progress,
        stages.stage_order > with_stage.onboarding_order
        and coalesce(with_stage.features_so_far, 0) > 0
        and with_stage.feature_count < with_stage.low_feature_usage_event_count
            as has_low_feature_usage,
        with_stage.ticket_count >= with_stage.high_support_tickets_event_count
            as has_high_support_tickets
    from with_stage
    -- every stage stands in the seed; a test holds that
    inner join stages
        on
            with_stage.tenant_id = stages.tenant_id
            and with_stage.stage = stages.stage
)

select * from final
