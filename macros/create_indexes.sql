{#
    The database itself refuses a second row of a model's `unique_key`, before anything is published:
    each table gets a unique index on it, nulls counting as equal, beside the `indexes` it names.
#}
{% macro postgres__create_indexes(relation) %}
    {%- set statements = index_statements(relation) | trim -%}
    {%- if statements -%}{%- do run_query(statements) -%}{%- endif -%}
{% endmacro %}

{% macro index_statements(relation) %}
    {%- for index in declared_indexes(config.get('unique_key'), config.get('indexes')) %}
        {{ index_statement(relation, index) }};
    {%- endfor %}
{% endmacro %}

{% macro index_statement(relation, index) -%}
    create {{ 'unique ' if index.is_unique }}index on {{ relation }} using {{ index.form }}
{%- endmacro %}

{#- As PostgreSQL tells of them, in lower case, so that what is there can be compared with them. -#}
{% macro declared_indexes(unique_key, indexes) %}
    {%- set declared = [] -%}
    {%- if unique_key -%}
        {%- set columns = unique_key if unique_key is string else unique_key | join(', ') -%}
        {%- do declared.append({'is_unique': true, 'form': 'btree (' ~ columns ~ ') nulls not distinct'}) -%}
    {%- endif -%}
    {%- for index in indexes or [] -%}
        {%- set form = index.type or 'btree' -%}
        {%- do declared.append({
            'is_unique': index.unique or false,
            'form': form ~ ' (' ~ index['columns'] | join(', ') ~ ')',
        }) -%}
    {%- endfor -%}
    {{ return(declared) }}
{% endmacro %}

{#
    A table that stands between builds was perhaps made by an older release, which declared fewer
    indexes. A run ends by making those that are missing, in any table; readers go on meanwhile, for
    nothing of the kind is locked that they need, and no transaction of a model waits for it.
#}
{% macro create_missing_indexes() -%}
    {{ return(adapter.dispatch('create_missing_indexes', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__create_missing_indexes() %}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- set found = {} -%}
        {%- for row in run_query(indexes_of_kept_tables()).rows -%}
            {%- do found.setdefault(row[0], []).append({'is_unique': row[1], 'form': row[2]}) -%}
        {%- endfor -%}
        {%- for model in kept_models() if model.relation_name in found -%}
            {%- for index in declared_indexes(model.config.unique_key, model.config.indexes) -%}
                {%- if index not in found[model.relation_name] %}
                    {{ index_statement(model.relation_name, index) }};
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{% macro kept_models() %}
    {{ return(
        graph.nodes.values()
        | selectattr('resource_type', 'equalto', 'model')
        | selectattr('config.materialized', 'equalto', 'incremental')
        | list
    ) }}
{% endmacro %}

{#- A table without any index has one row too. An index that is not valid serves nobody. -#}
{% macro indexes_of_kept_tables() %}
    select
        format('"%s"."%s"."%s"', current_database(), schemas.nspname, tables.relname),
        indexes.indisunique,
        lower(split_part(pg_get_indexdef(indexes.indexrelid), ' USING ', 2))
    from pg_class as tables
    inner join pg_namespace as schemas on tables.relnamespace = schemas.oid
    left join pg_index as indexes
        on tables.oid = indexes.indrelid and indexes.indisvalid
    where tables.relkind = 'r' and not starts_with(schemas.nspname, 'pg_')
{% endmacro %}
