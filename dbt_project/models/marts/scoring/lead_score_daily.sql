{{ config(unique_key=['tenant_id', 'score_on', 'lead_band']) }}

with history as (
    select * from {{ ref('lead_score_history') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

lead_bands as (
    select * from {{ ref('int_scoring__lead_bands') }}
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
            partition by history.tenant_id, history.customer_id
            order by history.valid_from
        ) as previous_score
    from history
    inner join tenants on history.tenant_id = tenants.tenant_id
),

with_changes as (
    select
        dated.*,
        max(case when lead_score <> previous_score then 1 else 0 end)
            over (partition by tenant_id, customer_id, score_on) as changed_count
    from dated
),

-- The last score of a customer's day.
ends_of_days as (
    select
        tenant_id,
        score_on,
        next_on,
        lead_score,
        lead_band,
        changed_count
    from with_changes
    where next_on is null or score_on < next_on
),

bounds_per_tenant as (
    select
        ends_of_days.tenant_id,
        min(ends_of_days.score_on) as first_on,
        {{ tenant_date(as_of(), 'tenants.time_zone') }} as last_on
    from ends_of_days
    inner join tenants on ends_of_days.tenant_id = tenants.tenant_id
    group by ends_of_days.tenant_id, tenants.time_zone
),

days as (
    select
        bounds_per_tenant.tenant_id,
        cast(calendar.instant as date) as score_on
    from bounds_per_tenant
    cross join
        lateral {{ dates_between(
            'bounds_per_tenant.first_on', 'bounds_per_tenant.last_on', 'day'
        ) }} as calendar (instant)
),

-- Coming to a band adds a customer and a score to it, leaving takes them away again. Every day and
-- band has a row, whether anybody moves or not.
movements as (
    select
        tenant_id,
        score_on,
        lead_band,
        1 as customer_delta,
        lead_score as score_delta,
        changed_count
    from ends_of_days

    union all

    select
        tenant_id,
        next_on as score_on,
        lead_band,
        -1 as customer_delta,
        -lead_score as score_delta,
        0 as changed_count
    from ends_of_days
    where next_on is not null

    union all

    select
        days.tenant_id,
        days.score_on,
        lead_bands.lead_band,
        0 as customer_delta,
        0 as score_delta,
        0 as changed_count
    from days
    -- every tenant has bands
    inner join lead_bands on days.tenant_id = lead_bands.tenant_id
),

movements_per_day as (
    select
        tenant_id,
        score_on,
        lead_band,
        sum(customer_delta) as customer_delta,
        sum(score_delta) as score_delta,
        sum(changed_count) as changed_customers
    from movements
    group by tenant_id, score_on, lead_band
),

running as (
    select
        tenant_id,
        score_on,
        lead_band,
        sum(customer_delta) over so_far as customers,
        sum(score_delta) over so_far as score_sum,
        changed_customers
    from movements_per_day
    window so_far as (
        partition by tenant_id, lead_band
        order by score_on
    )
),

final as (
    select
        tenant_id,
        score_on,
        lead_band,
        cast(customers as {{ dbt.type_bigint() }}) as customers,
        cast(cast(score_sum as numeric) / nullif(customers, 0) as numeric(6, 2)) as average_score,
        cast(changed_customers as {{ dbt.type_bigint() }}) as changed_customers
    from running
)

select * from final
