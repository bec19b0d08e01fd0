{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'source', 'sighting_id', 'identifier_key'],
    meta={'within': 'int_identity__changes'},
    indexes=[{'columns': ['tenant_id', 'identifier_key']}],
) }}

-- depends_on: {{ ref('int_identity__changes') }}
-- What records showed of a person until a newer version replaced them: an identifier that a record
-- came with is older than one that was added to it, also once it has left the record again.
{# source, sighting, type of identifier, value; phones as written -#}
{% set shown = [
    ('shopify_orders', 'id', 'email', 'versions.email'),
    ('shopify_orders', 'id', 'email', json_text('versions.customer', 'email')),
    ('shopify_orders', 'id', 'phone', 'versions.phone'),
    ('shopify_orders', 'id', 'phone', json_text('versions.customer', 'phone')),
    ('shopify_orders', 'id', 'shopify_customer_id', json_text('versions.customer', 'id')),
    ('eventbrite_orders', 'id', 'email', 'versions.email'),
    ('humanitix_orders', '_id', 'email', 'versions.email'),
    ('humanitix_orders', '_id', 'phone', 'versions.mobile'),
    ('shop_orders', 'id', 'email', 'versions.email'),
    ('shop_orders', 'id', 'phone', 'versions.phone_number'),
    ('shop_orders', 'id', 'shop_phone', 'versions.phone_number'),
    ('shop_visits', '_sighting_id', 'email', 'versions.email'),
    ('shop_visits', '_sighting_id', 'phone', 'versions.phone'),
    ('shop_visits', '_sighting_id', 'shop_phone', 'versions.phone'),
    ('touchpoints', '_sighting_id', 'email', 'versions.email'),
    ('touchpoints', '_sighting_id', 'phone', 'versions.phone'),
    ('touchpoints', '_sighting_id', 'shopify_customer_id', 'versions.shopify_customer_id'),
    ('touchpoints', '_sighting_id', 'klaviyo_profile_id', 'versions.klaviyo_profile_id'),
    ('touchpoints', '_sighting_id', 'anonymous_id', 'versions.anonymous_id'),
    ('leads', 'id', 'email', 'versions.email'),
    ('leads', 'id', 'phone', 'versions.phone'),
    ('leads', 'id', 'lead', 'versions.id'),
    ('klaviyo_profiles', 'id', 'email', 'versions.email'),
    ('klaviyo_profiles', 'id', 'phone', 'versions.phone_number'),
    ('klaviyo_profiles', 'id', 'klaviyo_profile_id', 'versions.id'),
    ('contacts', 'id', 'email', 'versions.email'),
    ('contacts', 'id', 'contact', 'versions.id'),
] -%}
{% set is_test = {'shopify_orders': 'versions.test', 'humanitix_orders': 'versions."isTest"'} -%}
with all_versions as (
    {% for table, sighting_id, type, value in shown -%}
        {% set is_phone = type in ('phone', 'shop_phone') -%}
        select
            versions.tenant_id,
            '{{ table }}' as source,
            versions.{{ sighting_id }} as sighting_id,
            '{{ type }}:' ||
            {%- if type == 'shop_phone' %} versions.shop_id || ':' ||{% endif %}
            {%- if is_phone %} phone_numbers.e164
            {%- elif type == 'email' %} {{ normalise_email(value) }}
            {%- else %} nullif(trim({{ value }}), '')
            {%- endif %} as identifier_key,
            versions._load_id as load_id
        from {{ source('raw', table) }} as versions
        {% if is_phone -%}
            inner join {{ source('raw', 'phone_numbers') }} as phone_numbers
                on
                    versions.tenant_id = phone_numbers.tenant_id
                    and {{ value }} = phone_numbers.phone
        {% endif -%}
        where
            {% if is_whole_derivation() -%}
                versions._replaced_by_load_id is not null
            {%- else -%}
                versions._replaced_by_load_id > {{ var('since_load_id') }}
            {%- endif %}
            {% if table in is_test -%}
                and {{ is_test[table] }} is not true
            {%- endif %}

        union all

    {% endfor -%}
    {% if is_whole_derivation() -%}
        select
            cast(null as {{ dbt.type_string() }}) as tenant_id,
            cast(null as {{ dbt.type_string() }}) as source,
            cast(null as {{ dbt.type_string() }}) as sighting_id,
            cast(null as {{ dbt.type_string() }}) as identifier_key,
            cast(null as bigint) as load_id
        where false
    {%- else -%}
        select
            known_before.tenant_id,
            known_before.source,
            known_before.sighting_id,
            known_before.identifier_key,
            known_before.load_id
        from {{ this }} as known_before
        inner join {{ ref('int_identity__changes') }} as changes
            on
                known_before.tenant_id = changes.tenant_id
                and known_before.source = changes.source
                and known_before.sighting_id = changes.sighting_id
    {%- endif %}
),

final as (
    select
        tenant_id,
        source,
        sighting_id,
        identifier_key,
        min(load_id) as load_id
    from all_versions
    where
        sighting_id is not null
        -- longer texts are no identifiers, and would not fit into an index
        and length(identifier_key) <= 340
    group by tenant_id, source, sighting_id, identifier_key
)

select * from final
