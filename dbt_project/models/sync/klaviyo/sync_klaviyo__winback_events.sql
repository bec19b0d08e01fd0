{{ config(unique_key=['tenant_id', 'message_id']) }}

with recipients as (
    select * from {{ ref('winback_recipients') }}
    where status = 'pending'
),

candidates as (
    select * from {{ ref('int_winback__candidates') }}
    where not is_held_out
),

eligibility as (
    select * from {{ ref('winback_eligibility') }}
),

campaigns as (
    select * from {{ ref('winback_campaigns') }}
    where status = 'active'
),

customers as (
    select * from {{ ref('customers') }}
),

-- Whoever is enrolled and still waits, and whoever a live run enrols just before it sends.
recipients_and_candidates as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        message_id,
        due_at
    from recipients

    union all

    select
        tenant_id,
        campaign_id,
        customer_id,
        message_id,
        due_at
    from candidates
),

messages as (
    select
        recipients_and_candidates.tenant_id,
        recipients_and_candidates.customer_id,
        recipients_and_candidates.message_id,
        recipients_and_candidates.due_at as not_before,
        eligibility.days_inactive,
        eligibility.lifetime_value,
        customers.email,
        customers.first_name,
        campaigns.campaign_id,
        campaigns.campaign_name,
        campaigns.incentive_type,
        campaigns.incentive_value,
        campaigns.discount_code,
        campaigns.klaviyo_metric,
        campaigns.currency,
        campaigns.ends_at
    from recipients_and_candidates
    -- every campaign has a verdict about every customer; a paused one sends nothing
    inner join eligibility
        on
            recipients_and_candidates.tenant_id = eligibility.tenant_id
            and recipients_and_candidates.campaign_id = eligibility.campaign_id
            and recipients_and_candidates.customer_id = eligibility.customer_id
    inner join campaigns
        on
            recipients_and_candidates.tenant_id = campaigns.tenant_id
            and recipients_and_candidates.campaign_id = campaigns.campaign_id
    inner join customers
        on
            recipients_and_candidates.tenant_id = customers.tenant_id
            and recipients_and_candidates.customer_id = customers.customer_id
),

final as (
    select
        message_id,
        tenant_id,
        customer_id,
        'klaviyo' as destination,
        'create_event' as operation,
        {{ klaviyo_event(
            metric='klaviyo_metric',
            email='email',
            properties=json_object({
                'campaign_id': 'campaign_id',
                'campaign_name': 'campaign_name',
                'incentive_type': 'incentive_type',
                'incentive_value': 'incentive_value',
                'discount_code': 'discount_code',
                'days_inactive': 'days_inactive',
                'lifetime_value': 'lifetime_value',
                'currency': 'currency',
                'first_name': 'first_name',
            }),
            unique_id='message_id',
            occurred_at='not_before'
        ) }} as payload,
        not_before,
        ends_at as expires_at,
        'winback' as purpose
    from messages
)

select * from final
