{{ config(unique_key=['tenant_id', 'segment_id']) }}

{% set criteria = [
    'stages',
    'collections',
    'min_lifetime_value',
    'max_lifetime_value',
    'min_orders',
    'max_orders',
    'min_days_since_purchase',
    'max_days_since_purchase',
    'lead_bands',
    'email_subscribed',
    'is_dynamic',
    'is_active',
] %}

with tenants as (
    select * from {{ ref('tenants') }}
),

segment_definitions as (
    select * from {{ ref('segment_definitions') }}
),

-- A tenant's own definition of a segment stands above the one for every tenant.
definitions_per_tenant as (
    select
        tenants.tenant_id,
        segment_definitions.segment_id,
        segment_definitions.segment_name,
        segment_definitions.description,
        {%- for criterion in criteria %}
            segment_definitions.{{ criterion }},
        {%- endfor %}
        segment_definitions.sync_enabled,
        segment_definitions.klaviyo_list_id,
        segment_definitions.reentry_policy,
        segment_definitions.reentry_cooldown_days,
        segment_definitions.tenant_id <> '*' as is_own,
        bool_or(segment_definitions.tenant_id <> '*')
            over (partition by tenants.tenant_id, segment_definitions.segment_id) as has_own
    from tenants
    inner join segment_definitions on segment_definitions.tenant_id in (tenants.tenant_id, '*')
),

final as (
    select
        tenant_id,
        segment_id,
        segment_name,
        description,
        {%- for criterion in criteria %}
            {{ criterion }},
        {%- endfor %}
        sync_enabled,
        klaviyo_list_id,
        reentry_policy,
        reentry_cooldown_days,
        -- Of what decides who belongs; a new name or list is the same segment.
        {{ hash_id(criteria) }} as definition_hash
    from definitions_per_tenant
    where is_own = has_own
)

select * from final
