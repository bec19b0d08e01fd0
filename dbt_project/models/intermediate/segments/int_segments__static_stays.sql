{{ config(unique_key=['tenant_id', 'segment_id', 'customer_id', 'added_at']) }}

with static_members as (
    select * from {{ ref('stg_segments__static_members') }}
),

definitions as (
    select * from {{ ref('int_segments__definitions') }}
),

email_owners as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

phone_owners as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

-- Drops members whom nobody knows by e-mail or phone, and segments that are not hand-kept and
-- active. A stay without an end lasts beyond the build, which the next day stands for.
stays_of_customers as (
    select
        static_members.tenant_id,
        static_members.segment_id,
        coalesce(email_owners.customer_id, phone_owners.customer_id) as customer_id,
        static_members.email,
        static_members.phone,
        definitions.definition_hash,
        static_members.added_at,
        coalesce(static_members.removed_at, {{ add_days(as_of(), 1) }}) as stayed_until
    from static_members
    inner join definitions
        on
            static_members.tenant_id = definitions.tenant_id
            and static_members.segment_id = definitions.segment_id
            and not definitions.is_dynamic
            and definitions.is_active
    left join email_owners
        on
            static_members.tenant_id = email_owners.tenant_id
            and 'email:' || static_members.email = email_owners.identifier_key
    left join phone_owners
        on
            static_members.tenant_id = phone_owners.tenant_id
            and 'phone:' || static_members.phone = phone_owners.identifier_key
    where
        coalesce(email_owners.customer_id, phone_owners.customer_id) is not null
        and static_members.added_at < coalesce(
            static_members.removed_at, {{ add_days(as_of(), 1) }}
        )
),

-- One person may be listed under several addresses: stays that touch are one stay.
stays_with_predecessor as (
    select
        tenant_id,
        segment_id,
        customer_id,
        email,
        phone,
        definition_hash,
        added_at,
        stayed_until,
        max(stayed_until) over (
            partition by tenant_id, segment_id, customer_id
            order by added_at, stayed_until, email nulls last, phone nulls last
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from stays_of_customers
),

numbered_stays as (
    select
        tenant_id,
        segment_id,
        customer_id,
        definition_hash,
        added_at,
        stayed_until,
        sum(case when added_at <= covered_until then 0 else 1 end) over (
            partition by tenant_id, segment_id, customer_id
            order by added_at, stayed_until, email nulls last, phone nulls last
            rows between unbounded preceding and current row
        ) as stay_number
    from stays_with_predecessor
),

unbroken_stays as (
    select
        tenant_id,
        segment_id,
        customer_id,
        definition_hash,
        min(added_at) as added_at,
        max(stayed_until) as stayed_until
    from numbered_stays
    group by tenant_id, segment_id, customer_id, definition_hash, stay_number
),

final as (
    select
        tenant_id,
        segment_id,
        customer_id,
        added_at,
        case when {{ visible('stayed_until') }} then stayed_until end as removed_at,
        definition_hash
    from unbroken_stays
)

select * from final
