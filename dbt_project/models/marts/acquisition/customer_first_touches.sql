{{ config(unique_key=['tenant_id', 'customer_id'], meta={'within': 'int_customers__touched'}) }}

-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
with metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

ordered_touchpoints as (
    select
        tenant_id,
        customer_id,
        touchpoint_id,
        channel,
        utm_source,
        utm_medium,
        utm_campaign,
        occurred_at,
        row_number() over (
            partition by customer_id, tenant_id
            order by occurred_at, touchpoint_id
        ) as place
    from touchpoints
),

first_touchpoints as (
    select * from ordered_touchpoints
    where place = 1
),

final as (
    select
        metrics.tenant_id,
        metrics.customer_id,
        first_touchpoints.touchpoint_id,
        first_touchpoints.channel,
        first_touchpoints.utm_source,
        first_touchpoints.utm_medium,
        first_touchpoints.utm_campaign,
        first_touchpoints.occurred_at as touched_at
    from metrics
    left join first_touchpoints
        on
            metrics.tenant_id = first_touchpoints.tenant_id
            and metrics.customer_id = first_touchpoints.customer_id
)

select * from final
