{{ config(unique_key=['tenant_id', 'activity_id']) }}

-- The message, and the order that it won. The order's money stands with the order.
with sends as (
    select * from {{ ref('int_winback__sends') }}
),

send_activities as (
    select
        tenant_id,
        'campaign_send:' || message_id as activity_id,
        customer_id,
        'campaign_send' as activity_type,
        sent_at as occurred_at,
        'winback' as source,
        message_id as source_id,
        cast(null as numeric(14, 2)) as amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        'Win-back message: ' || campaign_name as title,
        {{ json_object({'campaign_id': 'campaign_id'}) }} as metadata
    from sends
),

recovery_activities as (
    select
        tenant_id,
        'campaign_recovery:' || message_id as activity_id,
        customer_id,
        'campaign_recovery' as activity_type,
        ordered_at as occurred_at,
        'winback' as source,
        message_id as source_id,
        cast(null as numeric(14, 2)) as amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        'Won back by: ' || campaign_name as title,
        {{ json_object({'campaign_id': 'campaign_id', 'order_id': 'order_id'}) }} as metadata
    from sends
    where is_recovered
),

final as (
    select * from send_activities
    union all
    select * from recovery_activities
)

select * from final
