{{ config(
    unique_key=['tenant_id', 'campaign_id', 'customer_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id']},
        {'columns': ['status']},
    ],
) }}

with recipients as (
    select * from {{ ref('int_winback__recipients') }}
),

campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

customers as (
    select * from {{ ref('customers') }}
),

-- A message that was not sent is looked at as the sender would; what it decided comes first.
with_reasons as (
    select
        recipients.*,
        customers.currency,
        case
            when recipients.is_held_out or recipients.sent_at is not null then null
            when recipients.skip_reason is not null then recipients.skip_reason
            when customers.email is null then 'no_email'
            when not customers.email_subscribed then 'email_not_subscribed'
            when customers.is_email_suppressed then 'email_suppressed'
            when recipients.bought_at is not null then 'purchased_since_enrolment'
            when campaigns.status = 'completed' or campaigns.ends_at <= {{ as_of() }}
                then 'campaign_ended'
        end as reason_to_skip
    from recipients
    -- only people who are known and campaigns that are defined have recipients
    inner join customers
        on
            recipients.tenant_id = customers.tenant_id
            and recipients.customer_id = customers.customer_id
    inner join campaigns
        on
            recipients.tenant_id = campaigns.tenant_id
            and recipients.campaign_id = campaigns.campaign_id
),

-- The order of the cases is the order of precedence.
final as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        case
            when is_held_out then 'held_out'
            when reason_to_skip is not null then 'skipped'
            when sent_at is null then 'pending'
            when recovered_at is not null then 'recovered'
            when unsubscribed_at is not null then 'unsubscribed'
            when {{ visible('attribution_ends_at') }} then 'expired'
            when clicked_at is not null then 'clicked'
            when opened_at is not null then 'opened'
            else 'sent'
        end as status,
        reason_to_skip as skip_reason,
        enrolled_at,
        is_held_out,
        -- held out: due by now, and no purchase before that would have been a reason to skip
        case
            when is_held_out
                then {{ visible('due_at') }} and coalesce(bought_at > due_at, true)
            else sent_at is not null
        end as is_compared,
        due_at,
        message_id,
        sent_at,
        case when is_held_out or sent_at is not null then attribution_ends_at end
            as attribution_ends_at,
        opened_at,
        clicked_at,
        unsubscribed_at,
        recovered_at,
        recovery_order_id,
        recovered_amount,
        currency,
        discount_code_used
    from with_reasons
)

select * from final
