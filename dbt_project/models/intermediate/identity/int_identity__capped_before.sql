{#- Reads a table that stands after it, as the build before left it. -#}
{%- set capped_before = previous('int_identity__capped') -%}
-- Which of the values whose sightings changed were over their cap before this build?
-- depends_on: {{ ref('int_identity__changed_keys') }}
{% if capped_before -%}
    with capped_before as (
        select * from {{ capped_before }}
    ),

    changed_keys as (
        select * from {{ ref('int_identity__changed_keys') }}
    ),

    final as (
        select
            capped_before.tenant_id,
            capped_before.identifier_key
        from changed_keys
        inner join capped_before
            on
                changed_keys.tenant_id = capped_before.tenant_id
                and changed_keys.identifier_key = capped_before.identifier_key
    )

    select * from final
{%- else -%}
    select
        cast(null as {{ dbt.type_string() }}) as tenant_id,
        cast(null as {{ dbt.type_string() }}) as identifier_key
    where false
{%- endif %}
