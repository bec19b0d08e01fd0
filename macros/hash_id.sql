{% macro hash_id(parts) -%}
    md5(
    {%- for part in parts -%}
        {%- if not loop.first %} || {% endif -%}
        coalesce(
            cast(length(cast({{ part }} as {{ dbt.type_string() }})) as {{ dbt.type_string() }})
            || ':' || cast({{ part }} as {{ dbt.type_string() }}), '-'
        )
    {%- endfor -%}
    )
{%- endmacro %}
