-- A returned row is a message for a person without an e-mail or suppressed, or one for a person who
-- unsubscribed and does not wait for it.
with winback_events as (
    select * from {{ ref('sync_klaviyo__winback_events') }}
),

loyalty_events as (
    select * from {{ ref('sync_klaviyo__loyalty_events') }}
),

client_events as (
    select * from {{ ref('sync_klaviyo__next_best_actions') }}
),

customers as (
    select * from {{ ref('customers') }}
),

messages as (
    select
        message_id,
        tenant_id,
        customer_id,
        purpose
    from winback_events

    union all

    select
        message_id,
        tenant_id,
        customer_id,
        purpose
    from loyalty_events

    union all

    select
        message_id,
        tenant_id,
        customer_id,
        purpose
    from client_events
)

select
    messages.tenant_id,
    messages.customer_id,
    messages.message_id
from messages
left join customers
    on
        messages.tenant_id = customers.tenant_id
        and messages.customer_id = customers.customer_id
where
    customers.email is null
    or (customers.email_subscribed is not true and messages.purpose <> 'reward_code')
    or customers.is_email_suppressed is true
