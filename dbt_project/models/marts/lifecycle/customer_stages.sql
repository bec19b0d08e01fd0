{{ config(
    unique_key=['tenant_id', 'customer_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id'], 'unique': true},
        {'columns': ['tenant_id', 'stage']},
    ],
) }}

with transitions as (
    select * from {{ ref('stage_transitions') }}
),

metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

ranked as (
    select
        transitions.*,
        row_number() over (
            partition by tenant_id, customer_id order by transitioned_at desc
        ) as recency
    from transitions
),

final as (
    select
        ranked.tenant_id,
        ranked.customer_id,
        ranked.to_stage as stage,
        ranked.transitioned_at as stage_since,
        metrics.days_since_purchase,
        {{ days_between(
            'coalesce(metrics.last_engaged_at, metrics.first_seen_at)', as_of()
        ) }} as days_since_engagement
    from ranked
    -- every customer has its metrics
    inner join metrics
        on
            ranked.tenant_id = metrics.tenant_id
            and ranked.customer_id = metrics.customer_id
    where ranked.recency = 1
)

select * from final
