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

{#- Whether an instant has come since the build before; none, when everything is derived anew. -#}
{% macro has_come(instant) -%}
    {%- if is_whole_derivation() -%}
    false
    {%- else -%}
    ({{ instant }} > {{ since_as_of() }} and {{ visible(instant) }})
    {%- endif -%}
{%- endmacro %}

{#- Whether more whole days have passed from an instant than at the build before. -#}
{% macro is_a_day_older(began_at) -%}
    {%- if is_whole_derivation() -%}
    false
    {%- else -%}
    {{ days_between(began_at, as_of()) }} <> {{ days_between(began_at, since_as_of()) }}
    {%- endif -%}
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
        or {{ has_come(date) }}
        {%- endfor %}
    )
    {%- endif -%}
{%- endmacro %}
