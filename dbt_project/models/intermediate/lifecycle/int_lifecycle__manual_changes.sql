{{ config(unique_key=['tenant_id', 'customer_id', 'changed_at']) }}

-- What people decided, from the seed. A change for an identifier that nobody has, or from before
-- its owner was first seen, does nothing.
with manual_stages as (
    select * from {{ ref('manual_stages') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

changes as (
    select
        tenant_id,
        identifier_type,
        case
            when identifier_type = 'email' then {{ normalise_email('identifier') }}
            else identifier
        end as identifier,
        stage,
        changed_at,
        {{ hash_id([
            'tenant_id', 'identifier_type', 'identifier', timestamp_text('changed_at'),
        ]) }} as manual_change_id
    from manual_stages
    where {{ visible('changed_at') }}
),

-- Of two changes of one person at one instant, named by two identifiers, one holds.
attributed as (
    select
        changes.tenant_id,
        identifiers.customer_id,
        changes.changed_at,
        changes.stage,
        changes.manual_change_id,
        row_number() over (
            partition by identifiers.customer_id, changes.tenant_id, changes.changed_at
            order by changes.manual_change_id
        ) as precedence
    from changes
    inner join identifiers
        on
            changes.tenant_id = identifiers.tenant_id
            and changes.identifier_type = identifiers.identifier_type
            and changes.identifier = identifiers.identifier
    inner join metrics
        on
            identifiers.tenant_id = metrics.tenant_id
            and identifiers.customer_id = metrics.customer_id
            and changes.changed_at >= metrics.first_seen_at
),

final as (
    select
        tenant_id,
        customer_id,
        changed_at,
        lead(changed_at) over (
            partition by customer_id, tenant_id order by changed_at
        ) as next_changed_at,
        stage,
        manual_change_id
    from attributed
    where precedence = 1
)

select * from final
