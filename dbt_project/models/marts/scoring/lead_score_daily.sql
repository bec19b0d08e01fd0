{{ config(unique_key=['tenant_id', 'score_on', 'lead_band']) }}

with moves as (
    select * from {{ ref('int_scoring__moves') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

lead_bands as (
    select * from {{ ref('int_scoring__lead_bands') }}
),

moves_per_day as (
    select
        tenant_id,
        score_on,
        lead_band,
        sum(customer_delta) as customer_delta,
        sum(score_delta) as score_delta,
        sum(changed_count) as changed_customers
    from moves
    group by tenant_id, score_on, lead_band
),

bounds_per_tenant as (
    select
        moves_per_day.tenant_id,
        min(moves_per_day.score_on) as first_on,
        {{ tenant_date(as_of(), 'tenants.time_zone') }} as last_on
    from moves_per_day
    inner join tenants on moves_per_day.tenant_id = tenants.tenant_id
    group by moves_per_day.tenant_id, tenants.time_zone
),

-- Every day and band has a row, whether anybody moves or not.
days_and_bands as (
    select
        bounds_per_tenant.tenant_id,
        cast(calendar.instant as date) as score_on,
        lead_bands.lead_band
    from bounds_per_tenant
    cross join
        lateral {{ dates_between(
            'bounds_per_tenant.first_on', 'bounds_per_tenant.last_on', 'day'
        ) }} as calendar (instant)
    -- every tenant has bands
    inner join lead_bands on bounds_per_tenant.tenant_id = lead_bands.tenant_id
),

running as (
    select
        days_and_bands.tenant_id,
        days_and_bands.score_on,
        days_and_bands.lead_band,
        sum(moves_per_day.customer_delta) over so_far as customers,
        sum(moves_per_day.score_delta) over so_far as score_sum,
        moves_per_day.changed_customers
    from days_and_bands
    left join moves_per_day
        on
            days_and_bands.tenant_id = moves_per_day.tenant_id
            and days_and_bands.score_on = moves_per_day.score_on
            and days_and_bands.lead_band = moves_per_day.lead_band
    window so_far as (
        partition by days_and_bands.tenant_id, days_and_bands.lead_band
        order by days_and_bands.score_on
    )
),

final as (
    select
        tenant_id,
        score_on,
        lead_band,
        cast(coalesce(customers, 0) as {{ dbt.type_bigint() }}) as customers,
        cast(cast(score_sum as numeric) / nullif(customers, 0) as numeric(6, 2)) as average_score,
        cast(coalesce(changed_customers, 0) as {{ dbt.type_bigint() }}) as changed_customers
    from running
)

select * from final
