{{ config(unique_key=['tenant_id', 'source', 'sighting_id']) }}

-- depends_on: {{ ref('int_identity__derivation') }}
-- A sighting changed when a version of one of its records was loaded or replaced since the build
-- before, or when one of their dates has come since. Empty when everything is derived anew.
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
with all_changes as (
    {% for table, (sighting_id, dates) in sources.items() -%}
        select
            tenant_id,
            '{{ table }}' as source,
            {{ sighting_id }} as sighting_id
        from {{ source('raw', table) }}
        where {{ changed_since(dates) }}
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor -%}
),

final as (
    select distinct
        tenant_id,
        source,
        sighting_id
    from all_changes
    where sighting_id is not null
)

select * from final
