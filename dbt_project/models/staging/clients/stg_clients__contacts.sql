with raw_contacts as (
    select * from {{ source('raw', 'contacts') }}
),

raw_versions as (
    select * from {{ source('raw', 'contacts') }}
),

current_contacts as (
    select *
    from raw_contacts
    where
        _is_current
        and {{ visible('updated_at') }}
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
        current_contacts.tenant_id,
        current_contacts.id as client_id,
        nullif(trim(current_contacts.name), '') as client_name,
        {{ normalise_email('current_contacts.email') }} as email,
        current_contacts.email as email_original,
        current_contacts.ai_score,
        current_contacts.status,
        current_contacts.updated_at,
        least(current_contacts._load_id, replaced_versions.first_load_id) as first_load_id,
        current_contacts._load_id as load_id,
        current_contacts._loaded_at as loaded_at
    from current_contacts
    left join replaced_versions
        on
            current_contacts.tenant_id = replaced_versions.tenant_id
            and current_contacts.id = replaced_versions.id
)

select * from final
