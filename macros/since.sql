{#
    What the build before this one covered: every load up to `since_load_id`, described at
    `since_as_of`. Without both, everything is derived anew.
#}
{% macro is_whole_derivation() %}
    {{ return(var('since_load_id', none) is none or var('since_as_of', none) is none) }}
{% endmacro %}

{% macro since_as_of() -%}
    cast('{{ var("since_as_of") }}' as {{ type_timestamptz() }})
{%- endmacro %}

{#- Whether a raw row was loaded or replaced since, or one of its dates has come since. -#}
{% macro changed_since(dates) -%}
    {%- if is_whole_derivation() -%}
    false
    {%- else -%}
    (
        _load_id > {{ var('since_load_id') }}
        or _replaced_by_load_id > {{ var('since_load_id') }}
        {%- for date in dates %}
        or ({{ date }} > {{ since_as_of() }} and {{ visible(date) }})
        {%- endfor %}
    )
    {%- endif -%}
{%- endmacro %}
