{#
    The rows of a seed that hold for each tenant, as `for_tenant_id`: where a tenant has rows of its
    own, they replace the default ones. `per` narrows that to rows that agree in these columns.
    `is_own = has_own` keeps what holds.
#}
{% macro tenant_rows(seed, per=[]) -%}
    select
        tenants.tenant_id as for_tenant_id,
        seeded.*,
        seeded.tenant_id <> '*' as is_own,
        bool_or(seeded.tenant_id <> '*') over (
            partition by tenants.tenant_id
            {%- for column in per %}, seeded.{{ column }}{% endfor %}
        ) as has_own
    from {{ ref('tenants') }} as tenants
    inner join {{ ref(seed) }} as seeded on seeded.tenant_id in (tenants.tenant_id, '*')
{%- endmacro %}
