{% macro json_object(fields) -%}
    {{ return(adapter.dispatch('json_object')(fields)) }}
{%- endmacro %}

{% macro postgres__json_object(fields) -%}
    jsonb_build_object(
    {%- for name, value in fields.items() -%}
        '{{ name }}', {{ value }}{{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}
