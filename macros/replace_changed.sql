{#
    An incremental strategy that keeps the relation and writes only what changed.

    The new result stands in a temporary table; rows whose key is gone or whose content differs are
    deleted, rows that are new or differ are inserted, in the transaction of the model. Readers see
    the old rows until it commits, and the table keeps its identity: views on it, policies, grants and
    indexes survive, and a build that changes nothing writes nothing.
#}
{% macro get_incremental_replace_changed_sql(arg_dict) %}
    {%- set keys = arg_dict['unique_key'] -%}
    {%- set keys = [keys] if keys is string else keys -%}
    {%- if not keys -%}
        {{ exceptions.raise_compiler_error('replace_changed needs a unique_key: ' ~ arg_dict['target_relation']) }}
    {%- endif -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | list -%}
    {%- set key_matches -%}
        {%- for key in keys %}fresh.{{ adapter.quote(key) }} = published.{{ adapter.quote(key) }}{{ ' and ' if not loop.last }}{% endfor -%}
    {%- endset -%}

    delete from {{ arg_dict['target_relation'] }} as published
    where not exists (
        select 1
        from {{ arg_dict['temp_relation'] }} as fresh
        where
            {{ key_matches }}
            and ({% for column in columns %}fresh.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
            is not distinct from ({% for column in columns %}published.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
    );

    insert into {{ arg_dict['target_relation'] }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ arg_dict['temp_relation'] }} as fresh
    where not exists (
        select 1
        from {{ arg_dict['target_relation'] }} as published
        where {{ key_matches }}
    )
{% endmacro %}
