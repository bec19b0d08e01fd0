{{ config(
    unique_key=['tenant_id', 'campaign_id', 'customer_id'],
    meta={'within': 'int_customers__aged'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- depends_on: {{ ref('int_customers__aged') }}
with campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

customer_traits as (
    select * from {{ ref('int_segments__customer_traits') }}
    where {{ is_touched('int_segments__customer_traits', 'int_customers__aged') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

-- A kept table: it knows everybody's enrolments, under the ids of today.
recipients as (
    select * from {{ ref('int_winback__enrolments') }}
    where preference = 1
),

-- The order of the cases is the order of the rules: the first that fails is the reason.
reasons as (
    select
        customer_traits.tenant_id,
        campaigns.campaign_id,
        customer_traits.customer_id,
        customer_traits.stage,
        customer_traits.stage_since,
        customer_traits.days_inactive,
        customer_traits.lifetime_value,
        customer_traits.primary_collection,
        case
            when campaigns.status <> 'active' then 'campaign_not_active'
            when campaigns.starts_at > {{ as_of() }} then 'campaign_not_started'
            when campaigns.ends_at <= {{ as_of() }} then 'campaign_ended'
            when not {{ in_list('customer_traits.stage', 'campaigns.target_stages') }}
                then 'stage_not_targeted'
            when not customer_traits.has_email then 'no_email'
            when not customer_traits.is_email_subscribed then 'email_not_subscribed'
            when customer_traits.is_email_suppressed then 'email_suppressed'
            when coalesce(customer_traits.lifetime_value, 0) < campaigns.min_lifetime_value
                then 'lifetime_value_too_low'
            when
                campaigns.target_collections is not null
                and not {{ in_list(
                    'customer_traits.primary_collection', 'campaigns.target_collections'
                ) }}
                then 'collection_not_targeted'
            when coalesce(customer_traits.days_inactive, 0) < campaigns.min_days_inactive
                then 'not_inactive_long_enough'
            when customer_traits.days_inactive > campaigns.max_days_inactive
                then 'inactive_too_long'
            when recipients.customer_id is not null then 'already_a_recipient'
        end as reason
    from campaigns
    inner join customer_traits on campaigns.tenant_id = customer_traits.tenant_id
    left join recipients
        on
            customer_traits.tenant_id = recipients.tenant_id
            and customer_traits.customer_id = recipients.customer_id
            and campaigns.campaign_id = recipients.campaign_id
),

final as (
    select
        reasons.tenant_id,
        reasons.campaign_id,
        reasons.customer_id,
        reasons.reason is null as is_eligible,
        reasons.reason,
        reasons.stage,
        reasons.stage_since,
        reasons.days_inactive,
        reasons.lifetime_value,
        tenant_settings.currency,
        reasons.primary_collection
    from reasons
    left join tenant_settings on reasons.tenant_id = tenant_settings.tenant_id
)

select * from final
