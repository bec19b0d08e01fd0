{{ config(unique_key=['tenant_id', 'customer_id'], meta={'within': 'int_customers__touched'}) }}

with customers as (
    select * from {{ ref('customers') }}
    where {{ is_touched('customers') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
    where
        is_primary
        and identifier_type in ('klaviyo_profile_id', 'shopify_customer_id')
        and {{ is_touched('customer_identities') }}
),

ids_per_customer as (
    select
        tenant_id,
        customer_id,
        max(identifier) filter (where identifier_type = 'klaviyo_profile_id')
            as klaviyo_profile_id,
        max(identifier) filter (where identifier_type = 'shopify_customer_id')
            as shopify_customer_id
    from identities
    group by tenant_id, customer_id
),

reachable as (
    select
        customers.*,
        customers.email is not null
        and customers.email_subscribed
        and not customers.is_email_suppressed as is_reachable_by_email,
        customers.phone is not null and customers.sms_subscribed as is_reachable_by_sms
    from customers
),

-- Nobody finds an address here that may not be written to.
final as (
    select
        reachable.tenant_id,
        reachable.customer_id,
        case when reachable.is_reachable_by_email then reachable.email end as email,
        case when reachable.is_reachable_by_sms then reachable.phone end as phone,
        reachable.is_reachable_by_email,
        reachable.is_reachable_by_sms,
        reachable.first_name,
        reachable.last_name,
        ids_per_customer.klaviyo_profile_id,
        ids_per_customer.shopify_customer_id,
        reachable.client_id,
        reachable.stage,
        reachable.lead_band,
        reachable.primary_collection,
        reachable.loyalty_tier,
        reachable.lifetime_value,
        reachable.currency
    from reachable
    left join ids_per_customer
        on
            reachable.tenant_id = ids_per_customer.tenant_id
            and reachable.customer_id = ids_per_customer.customer_id
    where reachable.is_reachable_by_email or reachable.is_reachable_by_sms
)

select * from final
