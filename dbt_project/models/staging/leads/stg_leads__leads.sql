with raw_leads as (
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

final as (
    select
        current_leads.tenant_id,
        current_leads.id as sighting_id,
        current_leads.id as lead_id,
        {{ normalise_email('current_leads.email') }} as email,
        current_leads.email as email_original,
        phone_numbers.e164 as phone,
        current_leads.phone as phone_original,
        nullif(trim(current_leads.first_name), '') as first_name,
        nullif(trim(current_leads.last_name), '') as last_name,
        current_leads.source as lead_source,
        current_leads.captured_at,
        coalesce(current_leads._first_load_id, current_leads._load_id) as first_load_id,
        current_leads._load_id as load_id,
        current_leads._loaded_at as loaded_at
    from current_leads
    left join phone_numbers
        on
            current_leads.tenant_id = phone_numbers.tenant_id
            and current_leads.phone = phone_numbers.phone
)

select * from final
