{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- The most frequent full name, then the most recent, then the smallest.
with owners as (
    select * from {{ ref('int_identity__owners') }}
    where customer_id is not null
),

sightings as (
    select * from {{ ref('int_identity__sightings') }}
),

names_per_customer as (
    select
        owners.tenant_id,
        owners.customer_id,
        sightings.first_name,
        sightings.last_name,
        sum(sightings.seen_count) as seen_count,
        max(sightings.last_seen_at) as last_seen_at
    from owners
    inner join sightings
        on
            owners.tenant_id = sightings.tenant_id
            and owners.source = sightings.source
            and owners.sighting_id = sightings.sighting_id
    where
        sightings.is_evidence
        and coalesce(sightings.first_name, sightings.last_name) is not null
    group by
        owners.tenant_id, owners.customer_id, sightings.first_name, sightings.last_name
),

ranked as (
    select
        names_per_customer.*,
        row_number() over (
            partition by customer_id, tenant_id
            order by
                seen_count desc,
                last_seen_at desc,
                coalesce(first_name, ''),
                coalesce(last_name, '')
        ) as preference
    from names_per_customer
),

final as (
    select
        tenant_id,
        customer_id,
        first_name,
        last_name
    from ranked
    where preference = 1
)

select * from final
