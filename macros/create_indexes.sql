{#
    The database itself refuses a second row of a model's `unique_key`, before anything is published:
    each table gets a unique index on it, beside the `indexes` it names. Nulls count as equal.
#}
{% macro postgres__create_indexes(relation) %}
    {%- set statements = index_statements(relation) | trim -%}
    {%- if statements -%}{%- do run_query(statements) -%}{%- endif -%}
{% endmacro %}

{% macro index_statements(relation) %}
    {%- set key = config.get('unique_key') -%}
    {%- set indexes = config.get('indexes', []) -%}
    {%- if key -%}
        {%- set indexes = [{'columns': [key] if key is string else key, 'unique': true}] + indexes -%}
    {%- endif -%}
    {%- for index in indexes %}
        create {{ 'unique ' if index.unique }}index on {{ relation }}
        {%- if index.type %} using {{ index.type }}{% endif %} ({{ index['columns'] | join(', ') }})
        {%- if index.unique %} nulls not distinct{% endif %};
    {%- endfor %}
{% endmacro %}
