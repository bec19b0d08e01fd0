with customers as (
    select * from {{ ref('customers') }}
),

bounds as (
    select
        {{ tenant_date('min(first_seen_at)', "'UTC'") }} as first_on,
        {{ tenant_date(as_of(), "'UTC'") }} as last_on
    from customers
),

final as (
    select cast(calendar.instant as date) as day
    from bounds
    cross join
        lateral {{ dates_between('bounds.first_on', 'bounds.last_on', 'day') }}
            as calendar (instant)
)

select * from final
