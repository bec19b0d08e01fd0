{#
    Joins the rows of a staging model, as `staged`, that belong to the sightings of the relation
    `named`.

    PostgreSQL plans a view that begins with `with` by itself, and so would read a whole raw table for
    a few sightings of it. `lateral` asks for one sighting after the other, by the index; `offset 0`
    keeps the planner from making a join of it again. A static member has no index of its sighting.
#}
{% macro join_sightings(named, staging_model) -%}
    {%- if is_whole_derivation() or staging_model == 'stg_segments__static_members' -%}
    inner join {{ ref(staging_model) }} as staged
        on
            {{ named }}.tenant_id = staged.tenant_id
            and {{ named }}.sighting_id = staged.sighting_id
    {%- else -%}
    cross join
        lateral (
            select *
            from {{ ref(staging_model) }} as candidates
            where
                {{ named }}.tenant_id = candidates.tenant_id
                and {{ named }}.sighting_id = candidates.sighting_id
            offset 0
        ) as staged
    {%- endif -%}
{%- endmacro %}
