{{ config(unique_key=['tenant_id', 'old_customer_id']) }}

-- Published ids that nobody has any more, and whose records are whose now: first the owner of the
-- identifier that had minted the id, else of the strongest of its identifiers, else of a record
-- that used to show one of them, else of the order that a purchase by nobody turned out to be.
with owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
    where customer_id is not null
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

replaced as (
    select * from {{ ref('int_identity__replaced') }}
),

owners as (
    select * from {{ ref('int_identity__owners') }}
    where customer_id is not null
),

evidence as (
    select * from {{ ref('int_identity__evidence') }}
),

living as (
    select distinct
        tenant_id,
        customer_id
    from {{ ref('int_customers__identifiers') }}
),

vanished as (
    select
        owners_before.tenant_id,
        owners_before.customer_id as old_customer_id,
        owners_before.identifier_key
    from owners_before
    where not exists (
        select 1
        from living
        where
            owners_before.tenant_id = living.tenant_id
            and owners_before.customer_id = living.customer_id
    )
),

-- What had stood in for an order that named nobody, with the number that other records know it by.
vanished_orders as (
    select
        vanished.tenant_id,
        vanished.old_customer_id,
        evidence.source,
        evidence.sighting_id,
        evidence.order_number
    from vanished
    inner join evidence
        on
            vanished.tenant_id = evidence.tenant_id
            and vanished.identifier_key = 'order_reference:' || evidence.order_reference
),

-- Records that used to show what somebody had who is gone, and those of the order it stood in for.
records_left as (
    select
        vanished.tenant_id,
        vanished.old_customer_id,
        replaced.source,
        replaced.sighting_id,
        'corrected' as reason,
        3 as preference
    from vanished
    inner join replaced
        on
            vanished.tenant_id = replaced.tenant_id
            and vanished.identifier_key = replaced.identifier_key

    union all

    select
        tenant_id,
        old_customer_id,
        source,
        sighting_id,
        'corrected' as reason,
        4 as preference
    from vanished_orders

    union all

    select
        vanished_orders.tenant_id,
        vanished_orders.old_customer_id,
        evidence.source,
        evidence.sighting_id,
        'merged' as reason,
        5 as preference
    from vanished_orders
    inner join evidence
        on
            vanished_orders.tenant_id = evidence.tenant_id
            and vanished_orders.order_number = evidence.order_number
            and evidence.order_reference is not null
),

candidates as (
    select
        vanished.tenant_id,
        vanished.old_customer_id,
        identifiers.customer_id,
        'merged' as reason,
        case
            when
                vanished.old_customer_id
                = {{ hash_id([
                    'identifiers.tenant_id', 'identifiers.identifier_type', 'identifiers.identifier',
                ]) }}
                then 1
            else 2
        end as preference,
        identifiers.strength_order,
        identifiers.identifier_key
    from vanished
    inner join identifiers
        on
            vanished.tenant_id = identifiers.tenant_id
            and vanished.identifier_key = identifiers.identifier_key

    union all

    select
        records_left.tenant_id,
        records_left.old_customer_id,
        owners.customer_id,
        records_left.reason,
        records_left.preference,
        0 as strength_order,
        owners.source || ':' || owners.sighting_id as identifier_key
    from records_left
    inner join owners
        on
            records_left.tenant_id = owners.tenant_id
            and records_left.source = owners.source
            and records_left.sighting_id = owners.sighting_id
),

ranked as (
    select
        candidates.*,
        row_number() over (
            partition by tenant_id, old_customer_id
            order by preference, strength_order, identifier_key
        ) as choice
    from candidates
),

final as (
    select
        tenant_id,
        old_customer_id,
        customer_id,
        reason
    from ranked
    where choice = 1
)

select * from final
