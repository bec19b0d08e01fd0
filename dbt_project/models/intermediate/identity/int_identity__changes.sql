{{ config(
    indexes=[{'columns': ['tenant_id', 'source', 'sighting_id'], 'unique': true}],
) }}

-- depends_on: {{ ref('int_identity__derivation') }}
-- A sighting changed when a version of one of its records was loaded or replaced since the build
-- before, or when one of their dates has come since; a request for a reward also when it was decided,
-- and when an order with its code changed. Empty when everything is derived anew.
{% set sources = {
    'shopify_orders': ['id', ['created_at', 'updated_at', 'cancelled_at']],
    'eventbrite_orders': ['id', ['created', 'changed']],
    'eventbrite_attendees': ['id', ['created', 'changed']],
    'humanitix_orders': ['_id', ['"createdAt"', '"completedAt"', '"updatedAt"']],
    'humanitix_tickets': ['_id', ['"createdAt"', '"cancelledAt"', '"updatedAt"']],
    'shop_orders': ['id', ['created_at', 'updated_at']],
    'shop_visits': ['_sighting_id', ['accessed_at']],
    'touchpoints': ['_sighting_id', ['occurred_at']],
    'leads': ['id', ['captured_at']],
    'klaviyo_profiles': ['id', ['email_consent_at', 'sms_consent_at', 'created', 'updated']],
    'consent_changes': ['id', ['changed_at']],
    'contacts': ['id', ['updated_at']],
    'client_journey_events': ['id', ['occurred_at']],
    'referrals': ['id', ['used_at']],
    'redemption_requests': ['id', ['requested_at']],
    'loyalty_adjustments': ['id', ['occurred_at']],
    'gifts': ['id', ['scheduled_delivery_at', 'created_at']],
    'gift_claims': ['id', ['claimed_at']],
    'static_segment_members': [
        hash_id(['segment_id', 'email', 'phone', 'added_at']), ['added_at', 'removed_at'],
    ],
    'erasure_requests': ['id', ['requested_at']],
} -%}
{% set since_load_id = var('since_load_id', none) or 0 -%}
{% set codes_before = none if is_whole_derivation() else previous('int_orders__codes') -%}
with {% for table, (sighting_id, dates) in sources.items() -%}
{{ table }} as (
    select
        tenant_id,
        {{ sighting_id }} as sighting_id
    from {{ source('raw', table) }}
    where
        {% if is_whole_derivation() -%}
            false
        {%- else -%}
            _load_id > {{ since_load_id }}
            or _replaced_by_load_id > {{ since_load_id }}
            {%- for date in dates %}
            or ({{ date }} > {{ since_as_of() }} and {{ visible(date) }})
            {%- endfor %}
        {%- endif %}
),

{% endfor -%}
all_changes as (
    {% for table in sources -%}
        select
            tenant_id,
            '{{ table }}' as source,
            sighting_id
        from {{ table }}
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor -%}
),

decisions as (
    select * from {{ ref('stg_loyalty__redemption_decisions') }}
),

{% if codes_before -%}
    -- What the orders that changed carried before this build, and carry now.
    codes_before as (
        select
            codes_before.tenant_id,
            codes_before.code
        from {{ codes_before }} as codes_before
        inner join all_changes
            on
                codes_before.tenant_id = all_changes.tenant_id
                and codes_before.order_id
                = replace(all_changes.source, '_orders', '') || ':' || all_changes.sighting_id
    ),

    shopify_codes as (
        select
            orders.tenant_id,
            {{ json_text('code.value', 'code') }} as code
        from all_changes
        inner join {{ ref('stg_shopify__orders') }} as orders
            on
                all_changes.tenant_id = orders.tenant_id
                and all_changes.sighting_id = orders.sighting_id
        cross join lateral {{ json_array_elements('orders.discount_codes') }} as code (value)
        where all_changes.source = 'shopify_orders'
    ),

    eventbrite_codes as (
        select
            orders.tenant_id,
            orders.promo_code as code
        from all_changes
        inner join {{ ref('stg_eventbrite__orders') }} as orders
            on
                all_changes.tenant_id = orders.tenant_id
                and all_changes.sighting_id = orders.sighting_id
        where all_changes.source = 'eventbrite_orders'
    ),

    humanitix_codes as (
        select
            orders.tenant_id,
            {{ json_text_path('orders.discounts', ['discountCode', 'code']) }} as code
        from all_changes
        inner join {{ ref('stg_humanitix__orders') }} as orders
            on
                all_changes.tenant_id = orders.tenant_id
                and all_changes.sighting_id = orders.sighting_id
        where all_changes.source = 'humanitix_orders'
    ),

    carried_codes as (
        select * from codes_before
        union all
        select * from shopify_codes
        union all
        select * from eventbrite_codes
        union all
        select * from humanitix_codes
    ),

    requests_behind_codes as (
        select
            decisions.tenant_id,
            decisions.request_id
        from decisions
        inner join carried_codes
            on
                decisions.tenant_id = carried_codes.tenant_id
                and decisions.code = upper(trim(carried_codes.code))
    ),
{% endif %}

-- What was decided on the build before stands at its very instant.
requests_decided as (
    select
        tenant_id,
        request_id
    from decisions
    where {{ 'false' if is_whole_derivation() else 'decided_at >= ' ~ since_as_of() }}
),

all_causes as (
    select
        tenant_id,
        source,
        sighting_id
    from all_changes
    where sighting_id is not null

    union all

    select
        tenant_id,
        'redemption_requests' as source,
        request_id as sighting_id
    from requests_decided

    {% if codes_before -%}
        union all

        select
            tenant_id,
            'redemption_requests' as source,
            request_id as sighting_id
        from requests_behind_codes
    {%- endif %}
),

final as (
    select distinct
        tenant_id,
        source,
        sighting_id
    from all_causes
)

select * from final
