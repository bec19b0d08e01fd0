{#- Reads a table that stands after it, as the build before left it. -#}
{%- set people_before = previous('int_identity__people') -%}
-- Who owned what before this build, wherever it may differ now: in the neighbourhoods of what
-- changed, and of the customers whose clock has struck.
-- depends_on: {{ ref('int_identity__changed_keys') }}
-- depends_on: {{ ref('int_identity__turned') }}
{% if people_before and is_whole_derivation() -%}
    with people_before as (
        select * from {{ people_before }}
    ),

    final as (
        select
            tenant_id,
            identifier_key,
            neighbourhood_id,
            customer_id
        from people_before
    )

    select * from final
{%- elif people_before -%}
    with people_before as (
        select * from {{ people_before }}
    ),

    changed_keys as (
        select
            tenant_id,
            identifier_key
        from {{ ref('int_identity__changed_keys') }}

        union

        select
            tenant_id,
            identifier_key
        from {{ ref('int_identity__turned') }}
    ),

    clocks as (
        select * from {{ previous('int_customers__clocks') }}
        where {{ visible('next_change_at') }}
    ),

    touched_neighbourhoods as (
        select
            people_before.tenant_id,
            people_before.neighbourhood_id
        from changed_keys
        inner join {{ people_before }} as people_before
            on
                changed_keys.tenant_id = people_before.tenant_id
                and changed_keys.identifier_key = people_before.identifier_key

        union

        select
            tenant_id,
            neighbourhood_id
        from clocks
    ),

    final as (
        select
            people_before.tenant_id,
            people_before.identifier_key,
            people_before.neighbourhood_id,
            people_before.customer_id
        from touched_neighbourhoods
        inner join people_before
            on
                touched_neighbourhoods.tenant_id = people_before.tenant_id
                and touched_neighbourhoods.neighbourhood_id = people_before.neighbourhood_id
    )

    select * from final
{%- else -%}
    select
        cast(null as {{ dbt.type_string() }}) as tenant_id,
        cast(null as {{ dbt.type_string() }}) as identifier_key,
        cast(null as {{ dbt.type_string() }}) as neighbourhood_id,
        cast(null as {{ dbt.type_string() }}) as customer_id
    where false
{%- endif %}
