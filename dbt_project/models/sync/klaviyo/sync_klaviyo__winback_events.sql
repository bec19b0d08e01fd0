{{ config(unique_key=['tenant_id', 'message_id']) }}

with eligibility as (
    select * from {{ ref('winback_eligibility') }}
),

campaigns as (
    select * from {{ ref('winback_campaigns') }}
),

customers as (
    select * from {{ ref('customers') }}
),

-- The held-out share of a campaign never changes sides and hears nothing.
recipients as (
    select
        eligibility.tenant_id,
        eligibility.customer_id,
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
        campaigns.ends_at,
        {{ hash_id([
            'eligibility.tenant_id', "'winback'", 'campaigns.campaign_id',
            'eligibility.customer_id',
        ]) }} as message_id,
        greatest(
            {{ add_days('eligibility.stage_since', 'campaigns.send_delay_days') }},
            campaigns.starts_at
        ) as not_before
    from eligibility
    inner join campaigns
        on
            eligibility.tenant_id = campaigns.tenant_id
            and eligibility.campaign_id = campaigns.campaign_id
    inner join customers
        on
            eligibility.tenant_id = customers.tenant_id
            and eligibility.customer_id = customers.customer_id
    where
        eligibility.is_eligible
        and {{ hash_bucket(
            ['eligibility.tenant_id', 'campaigns.campaign_id', 'eligibility.customer_id'], 100
        ) }} >= coalesce(campaigns.holdout_percent, 0)
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
    from recipients
)

select * from final
