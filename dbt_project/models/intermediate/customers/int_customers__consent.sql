{{ config(unique_key=['tenant_id', 'channel', 'address']) }}

-- Per address and channel: the latest word of each source, and of those the most restrictive. An
-- unsubscribe link in an e-mail is a withdrawal like any other.
with consent_changes as (
    {{ owned_rows('stg_klaviyo__consent_changes', 'consent_changes') }}
),

klaviyo_profiles as (
    {{ owned_rows('stg_klaviyo__profiles', 'klaviyo_profiles') }}
),

touchpoints as (
    {{ owned_rows('stg_touchpoints__touchpoints', 'touchpoints') }}
),

statements as (
    select
        tenant_id,
        'email' as channel,
        email as address,
        'consent_changes' as source,
        is_subscribed,
        changed_at as stated_at
    from consent_changes
    where
        channel = 'email'
        and email is not null

    union all

    select
        tenant_id,
        'sms' as channel,
        phone as address,
        'consent_changes' as source,
        is_subscribed,
        changed_at as stated_at
    from consent_changes
    where
        channel = 'sms'
        and phone is not null

    union all

    select
        tenant_id,
        'email' as channel,
        email as address,
        'consent_changes' as source,
        false as is_subscribed,
        occurred_at as stated_at
    from touchpoints
    where
        touchpoint_type = 'email_unsubscribe'
        and email is not null

    union all

    select
        tenant_id,
        'email' as channel,
        email as address,
        'klaviyo_profiles' as source,
        email_consent = 'subscribed' as is_subscribed,
        coalesce(email_consent_at, updated_at) as stated_at
    from klaviyo_profiles
    where
        email is not null
        and email_consent is not null

    union all

    select
        tenant_id,
        'sms' as channel,
        phone as address,
        'klaviyo_profiles' as source,
        sms_consent = 'subscribed' as is_subscribed,
        coalesce(sms_consent_at, updated_at) as stated_at
    from klaviyo_profiles
    where
        phone is not null
        and sms_consent is not null
),

ranked as (
    select
        statements.*,
        -- of two words at one instant the withdrawal holds
        row_number() over (
            partition by tenant_id, channel, address, source order by stated_at desc, is_subscribed
        ) as recency
    from statements
    where {{ visible('stated_at') }}
),

final as (
    select
        tenant_id,
        channel,
        address,
        bool_and(is_subscribed) as is_subscribed
    from ranked
    where recency = 1
    group by tenant_id, channel, address
)

select * from final
