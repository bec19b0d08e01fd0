-- A returned row is a campaign whose numbers leave a recipient out or count one twice, or an order
-- that two campaigns take credit for.
with recipients as (
    select * from {{ ref('winback_recipients') }}
),

performance as (
    select * from {{ ref('winback_performance') }}
),

recipients_per_campaign as (
    select
        tenant_id,
        campaign_id,
        count(distinct customer_id) as customer_count,
        count(*) filter (where status not in ('held_out', 'pending', 'skipped')) as sent_count,
        sum(recovered_amount) filter (where status = 'recovered') as recovered_amount
    from recipients
    group by tenant_id, campaign_id
),

credits_per_order as (
    select
        tenant_id,
        recovery_order_id,
        count(*) as campaign_count
    from recipients
    where
        recovery_order_id is not null
        and not is_held_out
    group by tenant_id, recovery_order_id
)

select
    coalesce(performance.tenant_id, recipients_per_campaign.tenant_id) as tenant_id,
    coalesce(performance.campaign_id, recipients_per_campaign.campaign_id) as subject
from performance
full outer join recipients_per_campaign
    on
        performance.tenant_id = recipients_per_campaign.tenant_id
        and performance.campaign_id = recipients_per_campaign.campaign_id
where
    performance.campaign_id is null
    or performance.targeted_count <> coalesce(recipients_per_campaign.customer_count, 0)
    or performance.sent_count <> coalesce(recipients_per_campaign.sent_count, 0)
    or performance.recovered_amount <> coalesce(recipients_per_campaign.recovered_amount, 0)
    or performance.targeted_count
    <> performance.held_out_count
    + performance.pending_count
    + performance.skipped_count
    + performance.sent_count

union all

select
    tenant_id,
    recovery_order_id as subject
from credits_per_order
where campaign_count > 1
