{{ config(unique_key=['tenant_id', 'campaign_id']) }}

with campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

eligibility as (
    select * from {{ ref('winback_eligibility') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

customers_per_campaign as (
    select
        tenant_id,
        campaign_id,
        count(*) as customer_count,
        count(*) filter (where is_eligible) as eligible_count
    from eligibility
    group by tenant_id, campaign_id
),

final as (
    select
        campaigns.tenant_id,
        campaigns.campaign_id,
        campaigns.campaign_name,
        campaigns.target_stages,
        campaigns.min_days_inactive,
        campaigns.max_days_inactive,
        cast(campaigns.min_lifetime_value as numeric(14, 2)) as min_lifetime_value,
        campaigns.target_collections,
        campaigns.incentive_type,
        cast(campaigns.incentive_value as numeric(14, 2)) as incentive_value,
        tenant_settings.currency,
        campaigns.discount_code,
        campaigns.klaviyo_flow_id,
        campaigns.klaviyo_metric,
        campaigns.send_delay_days,
        campaigns.attribution_days,
        cast(campaigns.holdout_percent as numeric(5, 2)) as holdout_percent,
        campaigns.max_recipients_per_run,
        campaigns.status,
        campaigns.starts_at,
        campaigns.ends_at,
        coalesce(customers_per_campaign.customer_count, 0) as customer_count,
        coalesce(customers_per_campaign.eligible_count, 0) as eligible_count
    from campaigns
    left join customers_per_campaign
        on
            campaigns.tenant_id = customers_per_campaign.tenant_id
            and campaigns.campaign_id = customers_per_campaign.campaign_id
    -- every campaign's tenant stands in the seed of tenants; the check of the seeds holds that
    inner join tenant_settings on campaigns.tenant_id = tenant_settings.tenant_id
)

select * from final
