{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- The golden record: the most frequent value, then the most recent, then the smallest, so that the
-- choice never depends on the order of rows.
with identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

names as (
    select * from {{ ref('int_customers__names') }}
),

consent as (
    select * from {{ ref('int_customers__consent') }}
),

klaviyo_profiles as (
    {{ owned_rows('stg_klaviyo__profiles', 'klaviyo_profiles') }}
),

ranked_addresses as (
    select
        tenant_id,
        customer_id,
        identifier_type,
        identifier,
        row_number() over (
            partition by customer_id, tenant_id, identifier_type
            order by seen_count desc, last_seen_at desc, identifier
        ) as preference
    from identifiers
    where
        identifier_type in ('email', 'phone')
        and not {{ is_pseudonym('identifier') }}
),

addresses as (
    select
        identifiers.tenant_id,
        identifiers.customer_id,
        max(ranked_addresses.identifier)
        filter (where ranked_addresses.identifier_type = 'email') as email,
        max(ranked_addresses.identifier)
        filter (where ranked_addresses.identifier_type = 'phone') as phone,
        bool_or({{ is_pseudonym('identifiers.identifier') }}) as is_erased
    from identifiers
    left join ranked_addresses
        on
            identifiers.tenant_id = ranked_addresses.tenant_id
            and identifiers.customer_id = ranked_addresses.customer_id
            and ranked_addresses.preference = 1
    group by identifiers.tenant_id, identifiers.customer_id
),

suppressed_addresses as (
    select distinct
        tenant_id,
        email
    from klaviyo_profiles
    where is_email_suppressed
),

final as (
    select
        addresses.tenant_id,
        addresses.customer_id,
        addresses.email,
        addresses.phone,
        names.first_name,
        names.last_name,
        coalesce(email_consent.is_subscribed, false) as email_subscribed,
        coalesce(sms_consent.is_subscribed, false) as sms_subscribed,
        suppressed_addresses.email is not null as is_email_suppressed,
        addresses.is_erased
    from addresses
    left join names
        on
            addresses.tenant_id = names.tenant_id
            and addresses.customer_id = names.customer_id
    left join consent as email_consent
        on
            addresses.tenant_id = email_consent.tenant_id
            and email_consent.channel = 'email'
            and addresses.email = email_consent.address
    left join consent as sms_consent
        on
            addresses.tenant_id = sms_consent.tenant_id
            and sms_consent.channel = 'sms'
            and addresses.phone = sms_consent.address
    left join suppressed_addresses
        on
            addresses.tenant_id = suppressed_addresses.tenant_id
            and addresses.email = suppressed_addresses.email
)

select * from final
