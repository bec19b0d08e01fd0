{#
    What a generic test reads of a table: after a partial derivation only what the build derived anew,
    for nothing wrote to the rest since it was tested. The unique indexes hold over everything.
#}
{% macro get_where_subquery(relation) -%}
    {%- set conditions = [config.get('where')] if config.get('where') else [] -%}
    {%- if execute and not is_whole_derivation() -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.alias == relation.identifier -%}
            {%- set meta = node.config.meta -%}
            {%- if meta.get('within') -%}
                {%- do conditions.append(is_touched('published', meta['within'], meta.get('within_as', {}))) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return('(select * from ' ~ relation ~ ' as published where ' ~ conditions | join(' and ') ~ ') as tested') }}
    {%- else -%}
        {{ return(relation) }}
    {%- endif -%}
{%- endmacro %}

{#- Whether this build derived the row anew; every row, when it derived everything. -#}
{% macro is_touched(rows, within='int_customers__touched', own_names={}) -%}
    {%- if is_whole_derivation() -%}
    true
    {%- else -%}
    exists (
        select 1
        from {{ previous(within) }} as touched
        where
            {%- for column in touched_columns(within) %}
            {{ rows }}.{{ own_names.get(column, column) }} = touched.{{ column }}{{ ' and' if not loop.last }}
            {%- endfor %}
    )
    {%- endif -%}
{%- endmacro %}
