-- A returned row is a tenant for whom a number is missing that every tenant needs.
with settings as (
    select * from {{ ref('int_tenants__settings') }}
)

select tenant_id
from settings
where
    lead_at_risk_days is null
    or customer_at_risk_days is null
    or repeat_at_risk_days is null
    or churned_days is null
    or vip_lifetime_value_amount is null
    or recency_weight is null
    or frequency_weight is null
    or monetary_weight is null
    or points_per_unit is null
    or points_sign_up is null
    or points_review is null
    or points_expiry_months is null
    or points_expiring_notice_days is null
    or loyalty_message_days is null
