{#
    The body of one event as Klaviyo's API takes it. Klaviyo keeps the first event of a unique_id, so
    a message that is sent twice counts once.
#}
{% macro klaviyo_event(metric, email, properties, unique_id, occurred_at) -%}
    {{ json_object({
        'data': json_object({
            'type': "'event'",
            'attributes': json_object({
                'metric': json_object({
                    'data': json_object({
                        'type': "'metric'",
                        'attributes': json_object({'name': metric}),
                    }),
                }),
                'profile': json_object({
                    'data': json_object({
                        'type': "'profile'",
                        'attributes': json_object({'email': email}),
                    }),
                }),
                'properties': properties,
                'time': timestamp_text(occurred_at),
                'unique_id': unique_id,
            }),
        }),
    }) }}
{%- endmacro %}
