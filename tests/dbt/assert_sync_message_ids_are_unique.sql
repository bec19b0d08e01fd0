-- A returned row is a message id that two messages share: the second would never be sent.
with winback_events as (
    select * from {{ ref('sync_klaviyo__winback_events') }}
),

loyalty_events as (
    select * from {{ ref('sync_klaviyo__loyalty_events') }}
),

client_advice as (
    select * from {{ ref('sync_webhook__next_best_actions') }}
),

client_events as (
    select * from {{ ref('sync_klaviyo__next_best_actions') }}
),

segment_memberships as (
    select * from {{ ref('sync_klaviyo__segment_memberships') }}
),

gift_deliveries as (
    select * from {{ ref('sync_klaviyo__gift_deliveries') }}
),

discount_codes as (
    select * from {{ ref('sync_shopify__discount_codes') }}
),

messages as (
    select message_id from winback_events

    union all

    select message_id from loyalty_events

    union all

    select message_id from client_advice

    union all

    select message_id from client_events

    union all

    select message_id from segment_memberships

    union all

    select message_id from gift_deliveries

    union all

    select message_id from discount_codes
)

select
    message_id,
    count(*) as message_count
from messages
group by message_id
having count(*) > 1
