with latest_recipients as (
    select *
    from marts.winback_recipients
    order by enrolled_at desc, campaign_id, customer_id
    limit :rows
)

select
    recipients.customer_id,
    coalesce(
        nullif(concat_ws(' ', customers.first_name, customers.last_name), ''),
        customers.email,
        'Somebody'
    ) as customer,
    campaigns.campaign_name,
    recipients.status,
    recipients.enrolled_at,
    recipients.sent_at,
    recipients.recovered_at,
    recipients.recovered_amount
from latest_recipients as recipients
inner join marts.customers
    on
        recipients.tenant_id = customers.tenant_id
        and recipients.customer_id = customers.customer_id
inner join marts.winback_campaigns as campaigns
    on
        recipients.tenant_id = campaigns.tenant_id
        and recipients.campaign_id = campaigns.campaign_id
order by recipients.enrolled_at desc, recipients.campaign_id, recipients.customer_id
