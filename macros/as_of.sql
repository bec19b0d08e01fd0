{% macro as_of() -%}
    {%- set given = var('as_of', none) -%}
    {%- if given is none -%}
        {%- set instant = run_started_at -%}
    {%- else -%}
        {#- YAML turns an unquoted timestamp into a datetime, so look at its text. -#}
        {%- set given_text = given | string -%}
        {%- set iso_8601_with_offset -%}
            ^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})$
        {%- endset -%}
        {%- if not modules.re.match(iso_8601_with_offset, given_text) -%}
            {{ exceptions.raise_compiler_error(
                "var as_of: '" ~ given_text ~ "' is not an instant with an offset; "
                ~ "write it like 2026-07-01T00:00:00Z"
            ) }}
        {%- endif -%}
        {%- set instant = modules.datetime.datetime.fromisoformat(given_text) -%}
    {%- endif -%}
    cast('
    {{- instant.astimezone(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S.%f+00') -}}
    ' as {{ type_timestamptz() }})
{%- endmacro %}
