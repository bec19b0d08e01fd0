{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'source', 'sighting_id', 'identifier_key'],
    meta={'within': 'int_identity__changes'},
    indexes=[{'columns': ['tenant_id', 'identifier_key']}],
) }}

-- A blocked value is kept only where a rule of the tenant's names it. The number of an order finds
-- what belongs to the order; the reference of an order stands in where it names nobody, now or once
-- all that it shows is over its cap.
-- The tables of the build before are read first.
-- depends_on: {{ ref('int_identity__changes') }}
-- depends_on: {{ ref('int_identity__replaced') }}
with sightings as (
    select sightings.*
    from {{ ref('int_identity__sightings') }} as sightings
    {% if not is_whole_derivation() -%}
        inner join {{ ref('int_identity__changes') }} as changes
            on
                sightings.tenant_id = changes.tenant_id
                and sightings.source = changes.source
                and sightings.sighting_id = changes.sighting_id
    {%- endif %}
),

identifier_types as (
    select * from {{ ref('identifier_types') }}
),

blocked_patterns as (
    select * from {{ ref('blocked_identifiers') }}
),

rules as (
    select * from {{ ref('int_identity__rules') }}
),

{# type of identifier, column, and whether the record counts as one more sight of it -#}
{% set shown = [
    ('email', 'email', true),
    ('email', 'other_email', false),
    ('phone', 'phone', true),
    ('phone', 'other_phone', false),
    ('shopify_customer_id', 'shopify_customer_id', true),
    ('klaviyo_profile_id', 'klaviyo_profile_id', true),
    ('contact', 'contact', true),
    ('lead', 'lead', true),
    ('shop_phone', 'shop_phone', true),
    ('anonymous_id', 'anonymous_id', true),
    ('order_number', 'order_number', false),
] -%}
shown_identifiers as (
    {% for type, column, is_counted in shown -%}
        select
            tenant_id,
            source,
            sighting_id,
            '{{ type }}' as identifier_type,
            {{ column }} as identifier,
            '{{ 'phone' if type == 'shop_phone' else type }}' as blocked_as_type,
            {{ 'phone' if type == 'shop_phone' else column }} as blocked_as,
            {{ 'is_evidence' if type != 'order_number' else 'false' }} as is_evidence,
            {{ 'seen_count' if is_counted else 'cast(0 as bigint)' }} as seen_count
        from sightings
        where {{ 'nullif(%s, %s)' % (column, type) if column != type else column }} is not null
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
    from shown_identifiers
    where blocked_as_type <> 'order_number'
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

judged_identifiers as (
    select
        shown_identifiers.tenant_id,
        shown_identifiers.source,
        shown_identifiers.sighting_id,
        shown_identifiers.identifier_type,
        shown_identifiers.identifier,
        shown_identifiers.identifier_type || ':' || shown_identifiers.identifier as identifier_key,
        shown_identifiers.is_evidence,
        shown_identifiers.seen_count,
        blocked_values.blocked_as is not null as is_blocked
    from shown_identifiers
    left join blocked_values
        on
            shown_identifiers.tenant_id = blocked_values.tenant_id
            and shown_identifiers.blocked_as_type = blocked_values.blocked_as_type
            and shown_identifiers.blocked_as = blocked_values.blocked_as
    -- longer texts are no identifiers, and would not fit into an index
    where length(shown_identifiers.identifier) <= 320
),

usable_identifiers as (
    select
        judged_identifiers.tenant_id,
        judged_identifiers.source,
        judged_identifiers.sighting_id,
        judged_identifiers.identifier_type,
        judged_identifiers.identifier,
        judged_identifiers.identifier_key,
        judged_identifiers.is_evidence,
        judged_identifiers.is_blocked,
        judged_identifiers.seen_count
    from judged_identifiers
    where
        not judged_identifiers.is_blocked
        or exists (
            select 1
            from rules
            where
                judged_identifiers.tenant_id = rules.tenant_id
                and judged_identifiers.identifier_key in (rules.key_a, rules.key_b)
        )
),

references_of_orders as (
    select
        sightings.tenant_id,
        sightings.source,
        sightings.sighting_id,
        'order_reference' as identifier_type,
        sightings.order_reference as identifier,
        'order_reference:' || sightings.order_reference as identifier_key,
        false as is_evidence,
        false as is_blocked,
        sightings.seen_count
    from sightings
    where
        sightings.order_reference is not null
        and not exists (
            select 1
            from usable_identifiers
            inner join {{ ref('identifier_types') }} as types_without_cap
                on
                    usable_identifiers.identifier_type = types_without_cap.identifier_type
                    and types_without_cap.cap is null
            where
                sightings.tenant_id = usable_identifiers.tenant_id
                and sightings.source = usable_identifiers.source
                and sightings.sighting_id = usable_identifiers.sighting_id
                and usable_identifiers.identifier_type <> 'order_number'
        )
),

all_identifiers as (
    select * from usable_identifiers

    union all

    select * from references_of_orders
),

final as (
    select
        all_identifiers.tenant_id,
        all_identifiers.source,
        all_identifiers.sighting_id,
        all_identifiers.identifier_type,
        all_identifiers.identifier,
        all_identifiers.identifier_key,
        identifier_types.strength_order,
        identifier_types.is_strong,
        identifier_types.cap,
        all_identifiers.is_evidence,
        all_identifiers.is_blocked,
        all_identifiers.seen_count
    from all_identifiers
    -- every type stands in the seed; a test holds that
    inner join identifier_types
        on all_identifiers.identifier_type = identifier_types.identifier_type
)

select * from final
