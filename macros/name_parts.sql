{# The first word of a full name. #}
{% macro first_word(full_name) %}nullif(split_part(trim({{ full_name }}), ' ', 1), ''){% endmacro %}

{# Everything after the first word of a full name. #}
{% macro other_words(full_name) -%}
    nullif(trim(substring(trim({{ full_name }}), length(split_part(trim({{ full_name }}), ' ', 1)) + 1)), '')
{%- endmacro %}
