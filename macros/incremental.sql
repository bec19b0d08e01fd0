{#
    dbt's own `incremental`, and a short way for a partial derivation. That one stands on a whole
    derivation by the same project, which held every table against its contract and gave it its columns:
    what is left to do is one statement in place of a dozen, for each of more than eighty models.
#}
{% materialization incremental, adapter='postgres' %}
    {%- set is_new = is_whole_derivation() or should_full_refresh() or load_cached_relation(this) is none -%}
    {%- if is_new or config.get('incremental_strategy') != 'replace_changed' -%}
        {{ return(dbt.materialization_incremental_default()) }}
    {%- endif -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set fresh = make_temp_relation(target) -%}

    {{ run_hooks(pre_hooks) }}

    {% call statement('main') -%}
        {{ commit_without_waiting() }};
        create temporary table {{ fresh }} on commit drop as ({{ sql }});
        {{ replace_changed(target, fresh, config.get('unique_key'), columns_of(target)) }}
    {%- endcall %}

    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#- Those of the contract, where there is one: the database need not be asked for them. -#}
{% macro columns_of(target) %}
    {%- set names = model.columns if config.get('contract').enforced
        else adapter.get_columns_in_relation(target) | map(attribute='name') -%}
    {%- set columns = [] -%}
    {%- for name in names -%}{%- do columns.append(adapter.quote(name)) -%}{%- endfor -%}
    {{ return(columns) }}
{% endmacro %}
