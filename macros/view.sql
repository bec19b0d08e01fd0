{#
    dbt's own `view`, and a short way for a partial derivation, which stands on a whole one by the same
    project: the view has the columns it had, so one statement gives it the build's instant.
#}
{% materialization view, adapter='postgres' %}
    {%- if is_whole_derivation() or load_cached_relation(this) is none -%}
        {{ return(dbt.materialization_view_default()) }}
    {%- endif -%}

    {{ run_hooks(pre_hooks) }}

    {% call statement('main') -%}
        {{ commit_without_waiting() }};
        create or replace view {{ this }} as ({{ sql }})
    {%- endcall %}

    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}
