-- Drops the touchpoints that name nobody. All usable identifiers of a record belong to one
-- customer, so the first that is known decides.
with touchpoints as (
    select * from {{ ref('stg_touchpoints__touchpoints') }}
),

{% set identifier_types = [
    'email', 'shopify_customer_id', 'klaviyo_profile_id', 'phone', 'anonymous_id',
] -%}
{# One import per kind of identifier: a CTE used once is planned with the table's statistics. -#}
{% for type in identifier_types -%}
    {{ type }}_owners as (
        select * from {{ ref('int_customers__identifiers') }}
        where identifier_type = '{{ type }}'
    ),

{% endfor -%}
attributed as (
    select
        touchpoints.tenant_id,
        touchpoints.touchpoint_id,
        coalesce(
            {%- for type in identifier_types %}
                {{ type }}_owners.customer_id{{ ',' if not loop.last }}
            {%- endfor %}
        ) as customer_id,
        touchpoints.touchpoint_type,
        touchpoints.channel,
        touchpoints.reference_id,
        touchpoints.reference_type,
        touchpoints.metadata,
        touchpoints.value_amount,
        touchpoints.collection,
        touchpoints.utm_source,
        touchpoints.utm_medium,
        touchpoints.utm_campaign,
        touchpoints.occurred_at
    from
        touchpoints
    {%- for type in identifier_types %}
    left join {{ type }}_owners
        on
            touchpoints.tenant_id = {{ type }}_owners.tenant_id
            and touchpoints.{{ type }} = {{ type }}_owners.identifier
    {%- endfor %}
),

final as (
    select * from attributed
    where customer_id is not null
)

select * from final
