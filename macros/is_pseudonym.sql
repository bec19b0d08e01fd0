{#- True for what took the place of an address when its owner was forgotten. -#}
{% macro is_pseudonym(identifier) -%}
    (
        {{ identifier }} like 'erased-%@erased.invalid'
        or ({{ identifier }} like 'erased-%' and {{ identifier }} not like '%@%')
    )
{%- endmacro %}
