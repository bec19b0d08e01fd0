{{ config(unique_key=['tenant_id', 'client_id', 'valid_from']) }}

-- Score, level and actions follow from stage and risks, so only a change of these begins a span.
with states as (
    select * from {{ ref('int_client_journey__states') }}
),

with_facts as (
    select
        states.*,
        {{ hash_id([
            'stage',
            'has_low_engagement',
            'has_late_invoices',
            'has_negative_sentiment',
            'has_slow_project_progress',
            'has_low_feature_usage',
            'has_high_support_tickets',
        ]) }} as facts
    from states
),

with_previous as (
    select
        with_facts.*,
        lag(facts) over (
            partition by tenant_id, client_id
            order by happened_at
        ) as previous_facts
    from with_facts
),

changes as (
    select *
    from with_previous
    where facts is distinct from previous_facts
),

final as (
    select
        tenant_id,
        customer_id,
        client_id,
        happened_at as valid_from,
        lead(happened_at) over (partition by tenant_id, client_id order by happened_at) as valid_to,
        stage,
        has_low_engagement,
        has_late_invoices,
        has_negative_sentiment,
        has_slow_project_progress,
        has_low_feature_usage,
        has_high_support_tickets
    from changes
)

select * from final
