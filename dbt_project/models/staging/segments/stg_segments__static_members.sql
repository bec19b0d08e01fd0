with raw_static_segment_members as (
    select * from {{ source('raw', 'static_segment_members') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_static_members as (
    select *
    from raw_static_segment_members
    where
        _is_current
        and {{ visible('added_at') }}
),

final as (
    select
        current_static_members.tenant_id,
        {{ hash_id([
            'current_static_members.segment_id',
            'current_static_members.email',
            'current_static_members.phone',
            'current_static_members.added_at',
        ]) }} as sighting_id,
        current_static_members.segment_id,
        {{ normalise_email('current_static_members.email') }} as email,
        current_static_members.email as email_original,
        phone_numbers.e164 as phone,
        current_static_members.phone as phone_original,
        current_static_members.added_at,
        {{ visible_at('current_static_members.removed_at') }} as removed_at,
        current_static_members._load_id as load_id,
        current_static_members._loaded_at as loaded_at
    from current_static_members
    left join phone_numbers
        on
            current_static_members.tenant_id = phone_numbers.tenant_id
            and current_static_members.phone = phone_numbers.phone
)

select * from final
