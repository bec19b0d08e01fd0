{{ config(
    unique_key=['tenant_id', 'message_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with news as (
    select * from {{ ref('int_loyalty__news') }}
    where
        {{ visible('not_before') }}
        and expires_at > {{ as_of() }}
),

contact_points as (
    select * from {{ ref('int_customers__contact_points') }}
),

-- Only people who want e-mail and can get it hear the news. Who spent points on a code waits for
-- it, news wanted or not.
final as (
    select
        news.message_id,
        news.tenant_id,
        news.customer_id,
        'klaviyo' as destination,
        'create_event' as operation,
        {{ klaviyo_event(
            metric='news.metric',
            email='contact_points.email',
            properties='news.properties',
            unique_id='news.message_id',
            occurred_at='news.not_before'
        ) }} as payload,
        news.not_before,
        news.expires_at,
        news.purpose
    from news
    inner join contact_points
        on
            news.tenant_id = contact_points.tenant_id
            and news.customer_id = contact_points.customer_id
    where
        contact_points.email is not null
        and (contact_points.email_subscribed or news.purpose = 'reward_code')
        and not coalesce(contact_points.is_email_suppressed, false)
)

select * from final
