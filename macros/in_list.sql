{% macro in_list(value, list) -%}
    coalesce(position('|' || {{ value }} || '|' in '|' || {{ list }} || '|') > 0, false)
{%- endmacro %}
