{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id', 'score_on', 'lead_band'],
    meta={'within': 'int_customers__touched'},
) }}

with history as (
    select * from {{ ref('int_scoring__history') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

-- The rows of a customer follow one another, so each stands until the day on which the next begins.
dated as (
    select
        history.tenant_id,
        history.customer_id,
        history.lead_score,
        history.lead_band,
        {{ tenant_date('history.valid_from', 'tenants.time_zone') }} as score_on,
        {{ tenant_date('history.valid_to', 'tenants.time_zone') }} as next_on,
        lag(history.lead_score) over (
            partition by history.customer_id, history.tenant_id
            order by history.valid_from
        ) as previous_score
    from history
    inner join tenants on history.tenant_id = tenants.tenant_id
),

with_changes as (
    select
        dated.*,
        max(case when lead_score <> previous_score then 1 else 0 end)
            over (partition by customer_id, tenant_id, score_on) as changed_count
    from dated
),

-- The last score of a customer's day.
ends_of_days as (
    select
        tenant_id,
        customer_id,
        score_on,
        next_on,
        lead_score,
        lead_band,
        changed_count
    from with_changes
    where next_on is null or score_on < next_on
),

-- Coming to a band adds a customer and a score to it, leaving takes them away again.
comings_and_goings as (
    select
        tenant_id,
        customer_id,
        score_on,
        lead_band,
        1 as customer_delta,
        lead_score as score_delta,
        changed_count
    from ends_of_days

    union all

    select
        tenant_id,
        customer_id,
        next_on as score_on,
        lead_band,
        -1 as customer_delta,
        -lead_score as score_delta,
        0 as changed_count
    from ends_of_days
    where next_on is not null
),

final as (
    select
        tenant_id,
        customer_id,
        score_on,
        lead_band,
        cast(sum(customer_delta) as integer) as customer_delta,
        cast(sum(score_delta) as integer) as score_delta,
        cast(sum(changed_count) as integer) as changed_count
    from comings_and_goings
    group by tenant_id, customer_id, score_on, lead_band
)

select * from final
