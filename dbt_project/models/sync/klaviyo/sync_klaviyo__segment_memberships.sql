{{ config(
    unique_key=['tenant_id', 'message_id'],
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with segment_memberships as (
    select * from {{ ref('segment_memberships') }}
),

segments as (
    select * from {{ ref('customer_segments') }}
    where
        sync_enabled
        and klaviyo_list_id is not null
),

customers as (
    select * from {{ ref('customers') }}
    where email is not null
),

-- A list knows no spells: only the last stay says whether somebody belongs to it now.
numbered_stays as (
    select
        segment_memberships.*,
        row_number() over (
            partition by tenant_id, segment_id, customer_id
            order by spell desc
        ) as recency
    from segment_memberships
),

-- Leaves out stays in segments that no list is kept for, and people without an e-mail.
moves as (
    select
        numbered_stays.tenant_id,
        numbered_stays.customer_id,
        segments.klaviyo_list_id,
        customers.email,
        case when numbered_stays.removed_at is null then 'add_to_list' else 'remove_from_list' end
            as operation,
        coalesce(numbered_stays.removed_at, numbered_stays.added_at) as moved_at,
        {{ hash_id([
            'numbered_stays.tenant_id',
            "'segment_membership'",
            'numbered_stays.segment_id',
            'segments.klaviyo_list_id',
            'numbered_stays.customer_id',
            'numbered_stays.spell',
            "case when numbered_stays.removed_at is null then 'add' else 'remove' end",
        ]) }} as message_id
    from numbered_stays
    inner join segments
        on
            numbered_stays.tenant_id = segments.tenant_id
            and numbered_stays.segment_id = segments.segment_id
    inner join customers
        on
            numbered_stays.tenant_id = customers.tenant_id
            and numbered_stays.customer_id = customers.customer_id
    where numbered_stays.recency = 1
),

final as (
    select
        message_id,
        tenant_id,
        customer_id,
        'klaviyo' as destination,
        operation,
        {{ json_object({
            'list_id': 'klaviyo_list_id',
            'profile': json_object({'email': 'email'}),
        }) }} as payload,
        moved_at as not_before,
        cast(null as {{ type_timestamptz() }}) as expires_at,
        'segment_membership' as purpose
    from moves
)

select * from final
