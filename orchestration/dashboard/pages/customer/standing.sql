select
    customers.stage,
    customers.stage_since,
    customers.lead_band,
    customers.lead_score,
    customers.primary_collection,
    customers.loyalty_tier,
    accounts.points_balance,
    customers.total_orders,
    customers.lifetime_value,
    customers.average_order_value,
    customers.last_purchase_at,
    customers.last_engaged_at,
    customers.first_seen_at,
    customers.email,
    customers.phone,
    customers.email_subscribed,
    customers.sms_subscribed,
    accounts.referral_code
from marts.customers
left join marts.loyalty_accounts as accounts
    on
        customers.tenant_id = accounts.tenant_id
        and customers.customer_id = accounts.customer_id
where customers.customer_id = :customer_id
