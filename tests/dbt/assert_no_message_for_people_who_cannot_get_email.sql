-- A returned row is a message for a person without an e-mail, unsubscribed or suppressed.
with winback_events as (
    select * from {{ ref('sync_klaviyo__winback_events') }}
),

loyalty_events as (
    select * from {{ ref('sync_klaviyo__loyalty_events') }}
),

contact_points as (
    select * from {{ ref('int_customers__contact_points') }}
),

messages as (
    select
        message_id,
        tenant_id,
        customer_id
    from winback_events

    union all

    select
        message_id,
        tenant_id,
        customer_id
    from loyalty_events
)

select
    messages.tenant_id,
    messages.customer_id,
    messages.message_id
from messages
left join contact_points
    on
        messages.tenant_id = contact_points.tenant_id
        and messages.customer_id = contact_points.customer_id
where
    contact_points.email is null
    or contact_points.email_subscribed is not true
    or contact_points.is_email_suppressed is true
