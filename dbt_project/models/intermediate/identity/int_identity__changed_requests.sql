{{ config(unique_key=['tenant_id', 'request_id']) }}

{%- set codes_before = none if is_whole_derivation() else previous('int_orders__codes') -%}
-- Requests for rewards that changed though their record did not: they were decided, or an order
-- that changed carried their code, or carries it now, whoever placed it. What was decided on the
-- build before stands at that build's very instant. Empty when everything is derived anew.
-- depends_on: {{ ref('int_identity__changed_records') }}
-- depends_on: {{ ref('stg_loyalty__redemption_decisions') }}
-- depends_on: {{ ref('stg_shopify__orders') }}
-- depends_on: {{ ref('stg_eventbrite__orders') }}
-- depends_on: {{ ref('stg_humanitix__orders') }}
{% if codes_before -%}
    with changed_records as (
        select * from {{ ref('int_identity__changed_records') }}
    ),

    codes_before as (
        select * from {{ codes_before }}
    ),

    shopify_orders as (
        select * from {{ ref('stg_shopify__orders') }}
    ),

    eventbrite_orders as (
        select * from {{ ref('stg_eventbrite__orders') }}
    ),

    humanitix_orders as (
        select * from {{ ref('stg_humanitix__orders') }}
    ),

    decisions as (
        select * from {{ ref('stg_loyalty__redemption_decisions') }}
    ),

    carried_codes as (
        select
            codes_before.tenant_id,
            codes_before.code
        from codes_before
        inner join changed_records
            on
                codes_before.tenant_id = changed_records.tenant_id
                and codes_before.order_id
                = replace(changed_records.source, '_orders', '')
                || ':'
                || changed_records.sighting_id

        union all

        select
            shopify_orders.tenant_id,
            {{ json_text('code.value', 'code') }} as code
        from changed_records
        inner join shopify_orders
            on
                changed_records.tenant_id = shopify_orders.tenant_id
                and changed_records.sighting_id = shopify_orders.sighting_id
                and changed_records.source = 'shopify_orders'
        cross join
            lateral {{ json_array_elements('shopify_orders.discount_codes') }} as code (value)

        union all

        select
            eventbrite_orders.tenant_id,
            eventbrite_orders.promo_code as code
        from changed_records
        inner join eventbrite_orders
            on
                changed_records.tenant_id = eventbrite_orders.tenant_id
                and changed_records.sighting_id = eventbrite_orders.sighting_id
                and changed_records.source = 'eventbrite_orders'

        union all

        select
            humanitix_orders.tenant_id,
            {{ json_text_path('humanitix_orders.discounts', ['discountCode', 'code']) }} as code
        from changed_records
        inner join humanitix_orders
            on
                changed_records.tenant_id = humanitix_orders.tenant_id
                and changed_records.sighting_id = humanitix_orders.sighting_id
                and changed_records.source = 'humanitix_orders'
    ),

    final as (
        select
            decisions.tenant_id,
            decisions.request_id
        from decisions
        inner join carried_codes
            on
                decisions.tenant_id = carried_codes.tenant_id
                and decisions.code = upper(trim(carried_codes.code))

        union

        select
            tenant_id,
            request_id
        from decisions
        where decided_at >= {{ since_as_of() }}
    )

    select * from final
{%- else -%}
    select
        cast(null as {{ dbt.type_string() }}) as tenant_id,
        cast(null as {{ dbt.type_string() }}) as request_id
    where false
{%- endif %}
