{{ config(unique_key=['tenant_id'], post_hook=admit_sender()) }}

{% set settings = [
    'lead_at_risk_days',
    'customer_at_risk_days',
    'repeat_at_risk_days',
    'churned_days',
    'vip_lifetime_value_amount',
    'vip_lapse_days',
    'recency_weight',
    'frequency_weight',
    'monetary_weight',
    'points_per_unit',
    'points_sign_up',
    'points_review',
    'points_birthday',
    'points_expiry_months',
    'reward_expiry_days',
    'referral_points_percent',
    'gift_expiry_days',
    'points_expiring_notice_days',
    'loyalty_message_days',
    'new_shop_customer_days',
    'client_default_score',
    'client_score_per_risk',
    'marketing_message_limit',
    'marketing_message_days',
    'backfill_after_days',
    'max_messages_per_run',
] -%}
with tenants as (
    select * from {{ ref('tenants') }}
),

tenant_settings as (
    select * from {{ ref('tenant_settings') }}
),

own_settings as (
    select *
    from tenant_settings
    where tenant_id <> '*'
),

resolved_settings as (
    select
        tenants.tenant_id,
        default_settings.setting,
        case
            when own_settings.setting is not null then own_settings.value
            else default_settings.value
        end as value
    from tenants
    cross join tenant_settings as default_settings
    left join own_settings
        on
            tenants.tenant_id = own_settings.tenant_id
            and default_settings.setting = own_settings.setting
    where default_settings.tenant_id = '*'
),

settings_per_tenant as (
    select
        {% for setting in settings %}
            max(value) filter (where setting = '{{ setting }}') as {{ setting }},
        {% endfor %}
        tenant_id
    from resolved_settings
    group by tenant_id
),

final as (
    select
        tenants.tenant_id,
        tenants.name,
        tenants.time_zone,
        tenants.currency,
        {% for setting in settings %}
            settings_per_tenant.{{ setting }},
        {% endfor %}
        tenants.phone_region
    from tenants
    left join settings_per_tenant on tenants.tenant_id = settings_per_tenant.tenant_id
)

select * from final
