{#
    The first instants of the days or months from one date to another, both included, for
    `cross join lateral … as alias (instant)`. Months count from the first date's day of the month.
#}
{% macro dates_between(first_on, last_on, unit) -%}
    {{ return(adapter.dispatch('dates_between')(first_on, last_on, unit)) }}
{%- endmacro %}

{% macro postgres__dates_between(first_on, last_on, unit) -%}
    generate_series(
        cast({{ first_on }} as timestamp), cast({{ last_on }} as timestamp), interval '1 {{ unit }}'
    )
{%- endmacro %}
