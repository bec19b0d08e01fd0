{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'source', 'sighting_id'],
    meta={'within': 'int_identity__changes'},
) }}

-- depends_on: {{ ref('int_identity__changes') }}
-- What a record shows of a person; touchpoints and visits that show the same are one sighting.
-- Evidence links identifiers and counts; a mention, such as a test order, only looks up whom it
-- means. `order_number` is the number by which other records name an order.
{% set sources = [
    {
        'source': 'shopify_orders', 'rows': 'stg_shopify__orders', 'record_id': 'order_id',
        'seen_at': 'created_at', 'is_evidence': 'not is_test', 'shows': {
            'email': 'email', 'phone': 'phone',
            'other_email': 'customer_email', 'other_phone': 'customer_phone',
            'shopify_customer_id': 'shopify_customer_id',
            'order_reference': "case when not is_test then 'shopify:' || order_id end",
            'order_number': 'order_id',
            'first_name': 'first_name', 'last_name': 'last_name',
        },
    },
    {
        'source': 'eventbrite_orders', 'rows': 'stg_eventbrite__orders', 'record_id': 'order_id',
        'seen_at': 'created_at', 'shows': {
            'email': 'email',
            'order_reference': "'eventbrite:' || order_id", 'order_number': 'order_id',
            'first_name': 'first_name', 'last_name': 'last_name',
        },
    },
    {
        'source': 'humanitix_orders', 'rows': 'stg_humanitix__orders', 'record_id': 'order_id',
        'seen_at': 'created_at', 'is_evidence': 'not is_test', 'shows': {
            'email': 'email', 'phone': 'phone',
            'order_reference': "case when not is_test then 'humanitix:' || order_id end",
            'order_number': 'order_id',
            'first_name': 'first_name', 'last_name': 'last_name',
        },
    },
    {
        'source': 'shop_orders', 'rows': 'stg_shops__orders', 'record_id': 'order_id',
        'seen_at': 'created_at', 'shows': {
            'email': 'email', 'phone': 'phone', 'shop_phone': "shop_id || ':' || phone",
            'order_reference': "'shop:' || order_id", 'order_number': 'order_id',
            'first_name': first_word('customer_name'), 'last_name': other_words('customer_name'),
        },
    },
    {
        'source': 'shop_visits', 'rows': 'stg_shops__visits', 'record_id': 'visit_id',
        'seen_at': 'accessed_at', 'is_shared': true, 'shows': {
            'email': 'email', 'phone': 'phone', 'shop_phone': "shop_id || ':' || phone",
        },
    },
    {
        'source': 'touchpoints', 'rows': 'stg_touchpoints__touchpoints',
        'record_id': 'touchpoint_id', 'seen_at': 'occurred_at', 'is_shared': true, 'shows': {
            'email': 'email', 'phone': 'phone', 'shopify_customer_id': 'shopify_customer_id',
            'klaviyo_profile_id': 'klaviyo_profile_id', 'anonymous_id': 'anonymous_id',
            'order_reference':
                "case when touchpoint_type = 'purchase' then 'touchpoint:' || touchpoint_id end",
            'order_number':
                "case when touchpoint_type = 'purchase' and reference_type = 'order' "
                ~ "then reference_id end",
        },
    },
    {
        'source': 'leads', 'rows': 'stg_leads__leads', 'record_id': 'lead_id',
        'seen_at': 'captured_at', 'shows': {
            'email': 'email', 'phone': 'phone', 'lead': 'lead_id',
            'first_name': 'first_name', 'last_name': 'last_name',
        },
    },
    {
        'source': 'klaviyo_profiles', 'rows': 'stg_klaviyo__profiles',
        'record_id': 'klaviyo_profile_id', 'seen_at': 'created_at', 'shows': {
            'email': 'email', 'phone': 'phone', 'klaviyo_profile_id': 'klaviyo_profile_id',
            'first_name': 'first_name', 'last_name': 'last_name',
        },
    },
    {
        'source': 'contacts', 'rows': 'stg_clients__contacts', 'record_id': 'client_id',
        'first_seen_at': 'first_seen_at', 'seen_at': 'updated_at', 'shows': {
            'email': 'email', 'contact': 'client_id',
            'first_name': first_word('client_name'), 'last_name': other_words('client_name'),
        },
    },
    {
        'source': 'client_journey_events', 'rows': 'stg_clients__journey_events',
        'record_id': 'client_event_id', 'seen_at': 'occurred_at', 'is_evidence': 'false',
        'shows': {'contact': 'client_id'},
    },
    {
        'source': 'eventbrite_attendees', 'rows': 'stg_eventbrite__attendees',
        'record_id': 'attendee_id', 'seen_at': 'created_at', 'is_evidence': 'false',
        'shows': {'order_number': 'order_id'},
    },
    {
        'source': 'humanitix_tickets', 'rows': 'stg_humanitix__tickets', 'record_id': 'ticket_id',
        'seen_at': 'created_at', 'is_evidence': 'false', 'shows': {'order_number': 'order_id'},
    },
    {
        'source': 'consent_changes', 'rows': 'stg_klaviyo__consent_changes',
        'record_id': 'consent_change_id', 'seen_at': 'changed_at', 'is_evidence': 'false',
        'shows': {'email': 'email', 'phone': 'phone'},
    },
    {
        'source': 'loyalty_adjustments', 'rows': 'stg_loyalty__adjustments',
        'record_id': 'adjustment_id', 'seen_at': 'occurred_at', 'is_evidence': 'false',
        'shows': {'email': 'email', 'phone': 'phone'},
    },
    {
        'source': 'redemption_requests', 'rows': 'stg_loyalty__redemption_requests',
        'record_id': 'request_id', 'seen_at': 'requested_at', 'is_evidence': 'false',
        'shows': {'email': 'email', 'phone': 'phone'},
    },
    {
        'source': 'referrals', 'rows': 'stg_loyalty__referrals',
        'record_id': 'referral_id', 'seen_at': 'used_at', 'is_evidence': 'false',
        'shows': {'email': 'referred_email', 'phone': 'referred_phone', 'order_number': 'order_id'},
    },
    {
        'source': 'gifts', 'rows': 'stg_gifts_coupons__gifts', 'record_id': 'gift_id',
        'seen_at': 'created_at', 'is_evidence': 'false',
        'shows': {'email': 'sender_email', 'order_number': 'order_id'},
    },
    {
        'source': 'gift_claims', 'rows': 'stg_gifts_coupons__gift_claims', 'record_id': 'gift_claim_id',
        'seen_at': 'claimed_at', 'is_evidence': 'false', 'shows': {'email': 'email'},
    },
    {
        'source': 'static_segment_members', 'rows': 'stg_segments__static_members',
        'record_id': 'sighting_id', 'seen_at': 'added_at', 'is_evidence': 'false',
        'shows': {'email': 'email', 'phone': 'phone'},
    },
    {
        'source': 'erasure_requests', 'rows': 'stg_privacy__erasure_requests',
        'record_id': 'request_id', 'seen_at': 'requested_at', 'is_evidence': 'false',
        'shows': {'email': 'email', 'phone': 'phone'},
    },
] -%}
{% set shown = [
    'email', 'phone', 'other_email', 'other_phone', 'shopify_customer_id', 'klaviyo_profile_id',
    'contact', 'lead', 'shop_phone', 'anonymous_id', 'order_reference', 'order_number',
    'first_name', 'last_name',
] -%}
with {% for kind in sources -%}
    {{ kind.source }} as (
        {{ changed_rows(kind.rows, kind.source) }}
    ),

{% endfor -%}
final as (
    {% for kind in sources -%}
        select
            tenant_id,
            '{{ kind.source }}' as source,
            sighting_id,
            {{ kind.is_evidence or 'true' }} as is_evidence,
            {%- for name in shown %}
                {%- if name not in kind.shows %}
                    cast(null as {{ dbt.type_string() }}) as {{ name }},
                {%- elif kind.is_shared %}
                    min({{ kind.shows[name] }}) as {{ name }},
                {%- else %}
                    {{ kind.shows[name] }} as {{ name }},
                {%- endif %}
            {%- endfor %}
            {%- if kind.is_shared %}
                min({{ kind.record_id }}) as sample_record_id,
                min({{ kind.seen_at }}) as first_seen_at,
                max({{ kind.seen_at }}) as last_seen_at,
                count(*) as seen_count,
                min(first_load_id) as first_load_id,
                min(load_id) as load_id
            {%- else %}
                {{ kind.record_id }} as sample_record_id,
                {{ kind.first_seen_at or kind.seen_at }} as first_seen_at,
                {{ kind.seen_at }} as last_seen_at,
                cast(cast({{ kind.is_evidence or 'true' }} as integer) as bigint) as seen_count,
                {{ 'load_id' if kind.is_evidence == 'false' else 'first_load_id' }}
                    as first_load_id,
                load_id
            {%- endif %}
        from {{ kind.source }}
        {% if kind.is_shared -%}
            where sighting_id is not null
            group by tenant_id, sighting_id
        {% endif %}
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor -%}
)

select * from final
