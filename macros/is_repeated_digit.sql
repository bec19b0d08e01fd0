{% macro is_repeated_digit(phone) -%}
    replace(substring({{ phone }}, 5), right({{ phone }}, 1), '') = ''
{%- endmacro %}
