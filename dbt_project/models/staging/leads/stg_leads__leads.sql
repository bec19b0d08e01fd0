with raw_leads as (
    select * from {{ source('raw', 'leads') }}
),

raw_versions as (
    select * from {{ source('raw', 'leads') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_leads as (
    select *
    from raw_leads
    where
        _is_current
        and {{ visible('captured_at') }}
),

replaced_versions as (
    select
        tenant_id,
        id,
        min(_load_id) as first_load_id
    from raw_versions
    where not _is_current
    group by
        tenant_id,
        id
),

final as (
    select
        current_leads.tenant_id,
        current_leads.id as lead_id,
        {{ normalise_email('current_leads.email') }} as email,
        current_leads.email as email_original,
        phone_numbers.e164 as phone,
        current_leads.phone as phone_original,
        nullif(trim(current_leads.first_name), '') as first_name,
        nullif(trim(current_leads.last_name), '') as last_name,
        current_leads.source as lead_source,
        current_leads.captured_at,
        least(current_leads._load_id, replaced_versions.first_load_id) as first_load_id,
        current_leads._load_id as load_id,
        current_leads._loaded_at as loaded_at
    from current_leads
    left join phone_numbers
        on
            current_leads.tenant_id = phone_numbers.tenant_id
            and current_leads.phone = phone_numbers.phone
    left join replaced_versions
        on
            current_leads.tenant_id = replaced_versions.tenant_id
            and current_leads.id = replaced_versions.id
)

select * from final
