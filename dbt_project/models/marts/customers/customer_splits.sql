{{ config(
    unique_key=['tenant_id', 'customer_id'],
    indexes=[{'columns': ['tenant_id', 'split_from_customer_id']}],
) }}

{%- set redirects_before = previous('customer_redirects') -%}
-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
-- Kept state: a guard, a rule or a correction took part of a published customer away from it, for
-- the first time at `split_at`.
with owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
    where customer_id is not null
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

moves as (
    select * from {{ ref('int_customers__moves') }}
),

known_before as (
    select distinct
        tenant_id,
        customer_id
    from {{ ref('int_identity__owners_before') }}
    where customer_id is not null
),

recorded as (
    {% if is_incremental() %}
        select * from {{ this }}
    {% else %}
        select
            cast(null as {{ dbt.type_string() }}) as tenant_id,
            cast(null as {{ dbt.type_string() }}) as customer_id,
            cast(null as {{ dbt.type_string() }}) as split_from_customer_id,
            cast(null as {{ type_timestamptz() }}) as split_at
        where false
    {% endif %}
),

-- Two who are one at a later instant, and not yet at this one, were not split.
merged_later as (
    {% if redirects_before %}
        select
            tenant_id,
            old_customer_id
        from {{ redirects_before }}
        where merged_at > {{ as_of() }}
    {% else %}
        select
            cast(null as {{ dbt.type_string() }}) as tenant_id,
            cast(null as {{ dbt.type_string() }}) as old_customer_id
        where false
    {% endif %}
),

newly_split as (
    select
        identifiers.tenant_id,
        identifiers.customer_id,
        min(coalesce(moves.customer_id, owners_before.customer_id)) as split_from_customer_id
    from owners_before
    inner join identifiers
        on
            owners_before.tenant_id = identifiers.tenant_id
            and owners_before.identifier_key = identifiers.identifier_key
    -- an id that minted with what ties nobody any more has gone over to one of the parts
    left join moves
        on
            owners_before.tenant_id = moves.tenant_id
            and owners_before.customer_id = moves.old_customer_id
    where
        coalesce(moves.customer_id, owners_before.customer_id) <> identifiers.customer_id
        and not exists (
            select 1
            from known_before
            where
                identifiers.tenant_id = known_before.tenant_id
                and identifiers.customer_id = known_before.customer_id
        )
        and not exists (
            select 1
            from merged_later
            where
                identifiers.tenant_id = merged_later.tenant_id
                and identifiers.customer_id = merged_later.old_customer_id
        )
    group by identifiers.tenant_id, identifiers.customer_id
),

final as (
    select
        recorded.tenant_id,
        recorded.customer_id,
        recorded.split_from_customer_id,
        recorded.split_at
    from recorded
    where
        not exists (
            select 1
            from newly_split
            where
                recorded.tenant_id = newly_split.tenant_id
                and recorded.customer_id = newly_split.customer_id
                and recorded.split_from_customer_id <> newly_split.split_from_customer_id
        )

    union all

    select
        tenant_id,
        customer_id,
        split_from_customer_id,
        {{ as_of() }} as split_at
    from newly_split
    where not exists (
        select 1
        from recorded
        where
            newly_split.tenant_id = recorded.tenant_id
            and newly_split.customer_id = recorded.customer_id
            and newly_split.split_from_customer_id = recorded.split_from_customer_id
    )
)

select * from final
