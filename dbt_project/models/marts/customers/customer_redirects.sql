{{ config(
    unique_key=['tenant_id', 'old_customer_id'],
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
-- Kept state: an id that was published once stays resolvable, however often its owner merges on. An
-- id that comes back to life, because what merged was split again, is no redirect any more. A build
-- of an earlier instant, at which the two were not one yet, changes nothing of that.
with moves as (
    select * from {{ ref('int_customers__moves') }}
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

repointed as (
    select
        recorded.tenant_id,
        recorded.old_customer_id,
        coalesce(moves.customer_id, recorded.customer_id) as customer_id,
        recorded.merged_at,
        recorded.reason
    from recorded
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
