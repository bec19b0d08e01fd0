{{ config(unique_key=['tenant_id', 'campaign_id', 'customer_id']) }}

-- What people did with a message: e-mail touchpoints after it, inside its window. One that names a
-- campaign, by its id or the id of its flow, answers that campaign only; one that names something
-- else answers another mail; one that names nothing answers the latest message.
with sends as (
    select * from {{ ref('int_winback__sends') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
    where touchpoint_type in ('email_open', 'email_click', 'email_unsubscribe')
),

named_touchpoints as (
    select
        tenant_id,
        customer_id,
        touchpoint_id,
        touchpoint_type,
        occurred_at,
        lower(nullif(trim(
            case when reference_type = 'campaign' then reference_id else utm_campaign end
        ), '')) as names
    from touchpoints
),

answers as (
    select
        sends.tenant_id,
        sends.campaign_id,
        sends.customer_id,
        named_touchpoints.touchpoint_type,
        named_touchpoints.occurred_at,
        row_number() over (
            partition by named_touchpoints.tenant_id, named_touchpoints.touchpoint_id
            order by sends.sent_at desc, sends.campaign_id
        ) as recency
    from named_touchpoints
    inner join sends
        on
            named_touchpoints.tenant_id = sends.tenant_id
            and named_touchpoints.customer_id = sends.customer_id
            and named_touchpoints.occurred_at > sends.sent_at
            and named_touchpoints.occurred_at < sends.attribution_ends_at
            and (
                named_touchpoints.names is null
                or named_touchpoints.names = lower(sends.campaign_id)
                or named_touchpoints.names = lower(sends.klaviyo_flow_id)
            )
),

final as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        min(occurred_at) filter (where touchpoint_type = 'email_open') as opened_at,
        min(occurred_at) filter (where touchpoint_type = 'email_click') as clicked_at,
        min(occurred_at) filter (where touchpoint_type = 'email_unsubscribe') as unsubscribed_at
    from answers
    where recency = 1
    group by tenant_id, campaign_id, customer_id
)

select * from final
