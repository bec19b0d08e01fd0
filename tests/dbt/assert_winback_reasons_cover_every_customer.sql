-- A returned row is a campaign and a customer of its tenant without a verdict, or a verdict whose
-- reason contradicts it. Nobody wins back a pseudonym.
with campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

customers as (
    select * from {{ ref('customers') }}
    where not is_erased
),

eligibility as (
    select * from {{ ref('winback_eligibility') }}
)

select
    campaigns.tenant_id,
    campaigns.campaign_id,
    customers.customer_id,
    eligibility.is_eligible,
    eligibility.reason
from campaigns
inner join customers on campaigns.tenant_id = customers.tenant_id
left join eligibility
    on
        campaigns.tenant_id = eligibility.tenant_id
        and campaigns.campaign_id = eligibility.campaign_id
        and customers.customer_id = eligibility.customer_id
where
    eligibility.is_eligible is null
    or eligibility.is_eligible <> (eligibility.reason is null)
