{% macro json_list(value) -%}
    {{ return(adapter.dispatch('json_list')(value)) }}
{%- endmacro %}

{% macro postgres__json_list(value) -%}
    case when jsonb_typeof({{ value }}) = 'array' then {{ value }} else '[]' end
{%- endmacro %}
