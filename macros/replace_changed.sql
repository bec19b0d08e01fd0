{#
    An incremental strategy that keeps the relation and writes only what changed.

    The new result stands in a temporary table; rows whose key is gone or whose content differs are
    deleted, rows that are new or differ are inserted, in the transaction of the model. Readers see
    the old rows until it commits, and the table keeps its identity: views on it, policies, grants and
    indexes survive, and a build that changes nothing writes nothing.

    `within` in the meta of a model names the model that lists what this build derives anew, such as the touched customers:
    rows about anything else stand as they are, and none of them has the key of a new row. `within_as`
    gives the target's names of its columns where they differ.
#}
{% macro get_incremental_replace_changed_sql(arg_dict) %}
    {{ replace_changed(
        arg_dict['target_relation'],
        arg_dict['temp_relation'],
        arg_dict['unique_key'],
        arg_dict['dest_columns'] | map(attribute='quoted') | list
    ) }}
{% endmacro %}

{% macro replace_changed(target, fresh, keys, columns) %}
    {%- set keys = [keys] if keys is string else keys -%}
    {%- if not keys -%}
        {{ exceptions.raise_compiler_error('replace_changed needs a unique_key: ' ~ target) }}
    {%- endif -%}
    {%- set key_matches -%}
        {%- for key in keys %}fresh.{{ adapter.quote(key) }} = published.{{ adapter.quote(key) }}{{ ' and ' if not loop.last }}{% endfor -%}
    {%- endset -%}
    {%- set within = config.get('meta', {}).get('within') -%}
    {%- if within -%}{{ require_same_derivation(target) }}{%- endif -%}
    {%- set is_partial = within and not is_whole_derivation() -%}
    {%- set is_within -%}
        {%- set own_names = config.get('meta', {}).get('within_as', {}) -%}
        {%- if is_partial -%}
            {%- for column in touched_columns(within) -%}
                touched.{{ column }} = published.{{ own_names.get(column, column) }}{{ ' and ' if not loop.last }}
            {%- endfor -%}
        {%- endif -%}
    {%- endset -%}

    {{ says_it_replaces() }};

    delete from {{ target }} as published
    {%- if is_partial %}
    using {{ previous(within) }} as touched
    where {{ is_within }} and
    {%- else %}
    where
    {%- endif %}
    not exists (
        select 1
        from {{ fresh }} as fresh
        where
            {{ key_matches }}
            and ({% for column in columns %}fresh.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
            is not distinct from ({% for column in columns %}published.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
    );

    insert into {{ target }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ fresh }} as fresh
    where not exists (
        select 1
        from {{ target }} as published
        {%- if is_partial %}
        inner join {{ previous(within) }} as touched on {{ is_within }}
        {%- endif %}
        where {{ key_matches }}
    )
{% endmacro %}

{% macro touched_columns(within) %}
    {{ return({
        'int_identity__changes': ['tenant_id', 'source', 'sighting_id'],
        'int_identity__changed_keys': ['tenant_id', 'identifier_key'],
        'int_identity__touched': ['tenant_id', 'identifier_key'],
        'int_customers__touched': ['tenant_id', 'customer_id'],
        'int_customers__aged': ['tenant_id', 'customer_id'],
        'int_loyalty__touched': ['tenant_id', 'customer_id'],
        'int_loads__changed': ['tenant_id', 'load_id'],
    }[within]) }}
{% endmacro %}

{#
    The intermediate tables hold only what the last build derived anew. A model that is run by itself
    must not take them for everything.
#}
{% macro require_same_derivation(target) %}
    {%- if 'model.journey_warehouse.int_identity__derivation' not in selected_resources -%}
        {%- set made = run_query('select is_whole_derivation, as_of = ' ~ as_of() ~ ' from ' ~ previous('int_identity__derivation')).rows[0] -%}
        {%- if made[0] != is_whole_derivation() or not made[1] -%}
            {{ exceptions.raise_compiler_error(
                target.identifier ~ ' cannot be built by itself now: the intermediate tables describe another instant, '
                ~ 'or only the customers that the last build touched. Build it with what it is made from: '
                ~ 'journey build --select ' ~ target.identifier ~ ' (or dbt build --select +' ~ target.identifier ~ ')'
            ) }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{#- Statistics after a whole derivation; after a partial one autovacuum looks after the table. -#}
{% macro analyze_after_whole() %}
    {% if is_whole_derivation() or not config.get('meta', {}).get('within') %}analyze {{ this }}{% endif %}
{% endmacro %}
