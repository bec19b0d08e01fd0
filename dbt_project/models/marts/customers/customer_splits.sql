{{ config(
    unique_key=['tenant_id', 'customer_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id'], 'unique': true},
        {'columns': ['tenant_id', 'split_from_customer_id']},
    ],
) }}

-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
-- Kept state: a guard, a rule or a correction took part of a published customer away from it.
with owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
    where customer_id is not null
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

living as (
    select distinct
        tenant_id,
        customer_id
    from {{ ref('int_customers__identifiers') }}
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

newly_split as (
    select
        identifiers.tenant_id,
        identifiers.customer_id,
        min(owners_before.customer_id) as split_from_customer_id
    from owners_before
    inner join identifiers
        on
            owners_before.tenant_id = identifiers.tenant_id
            and owners_before.identifier_key = identifiers.identifier_key
    -- the customer it came from lives on
    inner join living
        on
            owners_before.tenant_id = living.tenant_id
            and owners_before.customer_id = living.customer_id
    where
        not exists (
            select 1
            from known_before
            where
                identifiers.tenant_id = known_before.tenant_id
                and identifiers.customer_id = known_before.customer_id
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
        )

    union all

    select
        tenant_id,
        customer_id,
        split_from_customer_id,
        {{ as_of() }} as split_at
    from newly_split
)

select * from final
