with sightings as (
    select * from {{ ref('int_identity__sightings') }}
),

identifier_types as (
    select * from {{ ref('identifier_types') }}
),

blocked_patterns as (
    select * from {{ ref('blocked_identifiers') }}
),

{% set types = [
    'email', 'phone', 'shopify_customer_id', 'klaviyo_profile_id', 'contact', 'lead', 'shop_phone',
    'anonymous_id',
] -%}
seen_identifiers as (
    {% for type in types -%}
        select
            tenant_id,
            sighting_id,
            '{{ type }}' as identifier_type,
            {{ type }} as identifier,
            '{{ 'phone' if type == 'shop_phone' else type }}' as blocked_as_type,
            {{ 'phone' if type == 'shop_phone' else type }} as blocked_as
        from sightings
        where {{ type }} is not null
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor -%}
),

distinct_values as (
    select distinct
        tenant_id,
        blocked_as_type,
        blocked_as
    from seen_identifiers
),

blocked_values as (
    select distinct
        distinct_values.tenant_id,
        distinct_values.blocked_as_type,
        distinct_values.blocked_as
    from distinct_values
    -- keeps only the values that are blocked
    inner join blocked_patterns
        on
            distinct_values.blocked_as_type = blocked_patterns.identifier_type
            and blocked_patterns.tenant_id in ('*', distinct_values.tenant_id)
            and lower(distinct_values.blocked_as) like blocked_patterns.pattern

    union

    select
        tenant_id,
        blocked_as_type,
        blocked_as
    from distinct_values
    where
        blocked_as_type = 'phone'
        and {{ is_repeated_digit('blocked_as') }}
),

usable_identifiers as (
    select
        seen_identifiers.tenant_id,
        seen_identifiers.sighting_id,
        seen_identifiers.identifier_type,
        seen_identifiers.identifier
    from seen_identifiers
    where
        -- longer texts are no identifiers, and would not fit into an index
        length(seen_identifiers.identifier) <= 320
        and not exists (
            select 1
            from blocked_values
            where
                seen_identifiers.tenant_id = blocked_values.tenant_id
                and seen_identifiers.blocked_as_type = blocked_values.blocked_as_type
                and seen_identifiers.blocked_as = blocked_values.blocked_as
        )
),

final as (
    select
        sightings.tenant_id,
        sightings.sighting_id,
        usable_identifiers.identifier_type,
        usable_identifiers.identifier,
        usable_identifiers.identifier_type
        || ':'
        || usable_identifiers.identifier as identifier_key,
        identifier_types.strength_order,
        identifier_types.is_strong,
        identifier_types.cap,
        sightings.source,
        sightings.first_seen_at,
        sightings.last_seen_at,
        sightings.seen_count,
        sightings.first_load_id
    from usable_identifiers
    inner join sightings
        on
            usable_identifiers.tenant_id = sightings.tenant_id
            and usable_identifiers.sighting_id = sightings.sighting_id
    -- every type stands in the seed; a test holds that
    inner join identifier_types
        on usable_identifiers.identifier_type = identifier_types.identifier_type
)

select * from final
