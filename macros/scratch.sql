{#
    A table that each build writes anew and nobody but the build reads: made beside the old one, which
    goes in the same transaction. One statement in place of the eight of dbt's own `table`, for there
    are more than a hundred such models in every build.
#}
{% materialization scratch, adapter='postgres' %}
    {%- set before = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set fresh = make_intermediate_relation(target) -%}
    {%- if before is not none and before.type != 'table' -%}
        {%- do adapter.drop_relation(before) -%}
    {%- endif -%}

    {{ run_hooks(pre_hooks) }}

    {% call statement('main') -%}
        {{ commit_without_waiting() }};
        {{ create_table_as(False, fresh, sql) }};
        drop table if exists {{ target }};
        alter table {{ fresh }} rename to {{ adapter.quote(target.identifier) }};
        {{ index_statements(target) }}
    {%- endcall %}

    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
