{{ config(
    unique_key=['tenant_id', 'old_customer_id'],
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
-- Kept state: an id that was published once stays resolvable, however often its owner merges on. An
-- id that comes back to life, because what merged was split again, is no redirect any more. One
-- whose minting identifier a split took to somebody else follows it. A build of an earlier instant,
-- at which the two were not one yet, changes nothing of that.
with moves as (
    select * from {{ ref('int_customers__moves') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
),

living as (
    select distinct
        tenant_id,
        customer_id
    from {{ ref('int_customers__identifiers') }}
),

recorded as (
    {% if is_incremental() %}
        select * from {{ this }}
    {% else %}
        select
            cast(null as {{ dbt.type_string() }}) as tenant_id,
            cast(null as {{ dbt.type_string() }}) as old_customer_id,
            cast(null as {{ dbt.type_string() }}) as customer_id,
            cast(null as {{ type_timestamptz() }}) as merged_at,
            cast(null as {{ dbt.type_string() }}) as reason
        where false
    {% endif %}
),

minted as (
    select
        identifiers.tenant_id,
        {{ hash_id(
            ['identifiers.tenant_id', 'identifiers.identifier_type', 'identifiers.identifier']
        ) }} as old_customer_id,
        identifiers.customer_id,
        owners_before.customer_id as customer_id_before
    from identifiers
    inner join owners_before
        on
            identifiers.tenant_id = owners_before.tenant_id
            and identifiers.identifier_key = owners_before.identifier_key
    where identifiers.customer_id <> owners_before.customer_id
),

repointed as (
    select
        recorded.tenant_id,
        recorded.old_customer_id,
        coalesce(minted.customer_id, moves.customer_id, recorded.customer_id) as customer_id,
        recorded.merged_at,
        recorded.reason
    from recorded
    left join minted
        on
            recorded.tenant_id = minted.tenant_id
            and recorded.old_customer_id = minted.old_customer_id
            and recorded.customer_id = minted.customer_id_before
            and recorded.merged_at <= {{ as_of() }}
    left join moves
        on
            recorded.tenant_id = moves.tenant_id
            and recorded.customer_id = moves.old_customer_id
    where
        recorded.merged_at > {{ as_of() }}
        or not exists (
            select 1
            from living
            where
                recorded.tenant_id = living.tenant_id
                and recorded.old_customer_id = living.customer_id
        )
),

final as (
    select
        repointed.tenant_id,
        repointed.old_customer_id,
        repointed.customer_id,
        repointed.merged_at,
        repointed.reason
    from repointed
    where
        not exists (
            select 1
            from {{ ref('int_customers__moves') }} as newer
            where
                repointed.tenant_id = newer.tenant_id
                and repointed.old_customer_id = newer.old_customer_id
                and repointed.customer_id <> newer.customer_id
        )

    union all

    select
        newest.tenant_id,
        newest.old_customer_id,
        newest.customer_id,
        {{ as_of() }} as merged_at,
        newest.reason
    from {{ ref('int_customers__moves') }} as newest
    where not exists (
        select 1
        from repointed
        where
            newest.tenant_id = repointed.tenant_id
            and newest.old_customer_id = repointed.old_customer_id
            and newest.customer_id = repointed.customer_id
    )
)

select * from final
