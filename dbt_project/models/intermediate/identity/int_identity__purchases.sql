{{ config(unique_key=['tenant_id', 'sighting_id']) }}

-- A purchase touchpoint that names an order of any source, be it a test order, is that order; only
-- the others are orders of their own. Touchpoints naming the same unknown order are one purchase,
-- the earliest of them.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
),

sightings as (
    select distinct
        tenant_id,
        source,
        sighting_id,
        order_reference,
        order_number,
        first_seen_at
    from evidence
    where order_reference is not null
),

known_numbers as (
    select distinct
        tenant_id,
        order_number
    from evidence
    where
        source in ('shopify_orders', 'eventbrite_orders', 'humanitix_orders', 'shop_orders')
        and order_number is not null
),

unmatched as (
    select
        sightings.tenant_id,
        sightings.source,
        sightings.sighting_id,
        sightings.order_reference,
        row_number() over (
            partition by
                sightings.tenant_id,
                coalesce(sightings.order_number, sightings.order_reference),
                sightings.order_number is null
            order by sightings.first_seen_at, sightings.order_reference
        ) as purchase_order
    from sightings
    left join known_numbers
        on
            sightings.tenant_id = known_numbers.tenant_id
            and sightings.order_number = known_numbers.order_number
    where
        sightings.source = 'touchpoints'
        and known_numbers.order_number is null
),

final as (
    select
        tenant_id,
        source,
        sighting_id,
        order_reference
    from unmatched
    where purchase_order = 1
)

select * from final
