-- A contact has no date but that of its last change, so its newest version that is visible holds,
-- and the oldest says since when the contact is known.
with raw_contacts as (
    select * from {{ source('raw', 'contacts') }}
),

visible_versions as (
    select
        raw_contacts.*,
        min(updated_at) over (partition by id, tenant_id) as first_seen_at,
        row_number() over (
            partition by id, tenant_id
            order by updated_at desc, _load_id desc, _line desc
        ) as recency
    from raw_contacts
    where {{ visible('updated_at') }}
),

current_contacts as (
    select * from visible_versions
    where recency = 1
),

final as (
    select
        current_contacts.tenant_id,
        current_contacts.id as sighting_id,
        current_contacts.id as client_id,
        nullif(trim(current_contacts.name), '') as client_name,
        {{ normalise_email('current_contacts.email') }} as email,
        current_contacts.email as email_original,
        current_contacts.ai_score,
        current_contacts.status,
        current_contacts.first_seen_at,
        current_contacts.updated_at,
        coalesce(current_contacts._first_load_id, current_contacts._load_id) as first_load_id,
        current_contacts._load_id as load_id,
        current_contacts._loaded_at as loaded_at
    from current_contacts
)

select * from final
