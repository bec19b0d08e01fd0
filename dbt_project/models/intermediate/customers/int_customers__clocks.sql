{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['next_change_at']}],
) }}

-- When does time alone next change something about the customer? The build that passes that instant
-- derives the customer anew. An age, such as days since the last purchase, needs no clock: the rows
-- that show one are written for whoever has become a day older.
with instants as (
    select * from {{ ref('int_lifecycle__instants') }}
),

manual_stages as (
    select * from {{ ref('manual_stages') }}
),

recency as (
    select * from {{ ref('int_scoring__rfm_thresholds') }}
    where
        dimension = 'recency'
        and min_value is not null
),

metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

refund_records as (
    select * from {{ ref('int_orders__refund_records') }}
),

orders as (
    select * from {{ ref('int_orders__rated') }}
),

shopify_orders as (
    select * from {{ ref('int_orders__shopify') }}
),

lots as (
    select * from {{ ref('int_loyalty__lots') }}
),

redemptions as (
    select * from {{ ref('int_loyalty__redemptions') }}
    where {{ is_touched('int_loyalty__redemptions') }}
),

news as (
    select * from {{ ref('int_loyalty__news') }}
),

client_instants as (
    select * from {{ ref('int_client_journey__instants') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

people as (
    select * from {{ ref('int_identity__people') }}
),

all_dates as (
    select
        tenant_id,
        customer_id,
        happened_at as changes_at
    from instants

    union all

    select
        metrics.tenant_id,
        metrics.customer_id,
        {{ add_days('metrics.last_purchase_at', 'ceil(recency.min_value)') }} as changes_at
    from metrics
    inner join recency on metrics.tenant_id = recency.tenant_id
    where metrics.last_purchase_at is not null

    union all

    select
        orders.tenant_id,
        orders.customer_id,
        refund_records.refunded_at as changes_at
    from refund_records
    inner join orders
        on
            refund_records.tenant_id = orders.tenant_id
            and refund_records.order_id = orders.order_id

    union all

    select
        tenant_id,
        customer_id,
        next_payment_at as changes_at
    from shopify_orders

    union all

    select
        tenant_id,
        customer_id,
        expires_at as changes_at
    from lots

    union all

    select
        tenant_id,
        customer_id,
        expires_at as changes_at
    from redemptions

    union all

    select
        tenant_id,
        customer_id,
        not_before as changes_at
    from news

    union all

    select
        tenant_id,
        customer_id,
        expires_at as changes_at
    from news

    union all

    select
        tenant_id,
        customer_id,
        happened_at as changes_at
    from client_instants

    union all

    select
        identifiers.tenant_id,
        identifiers.customer_id,
        manual_stages.changed_at as changes_at
    from manual_stages
    inner join identifiers
        on
            manual_stages.tenant_id = identifiers.tenant_id
            and manual_stages.identifier_type = identifiers.identifier_type
            and case
                when manual_stages.identifier_type = 'email'
                    then {{ normalise_email('manual_stages.identifier') }}
                else manual_stages.identifier
            end = identifiers.identifier
),

next_changes as (
    select
        tenant_id,
        customer_id,
        min(changes_at) as next_change_at
    from all_dates
    where changes_at > {{ as_of() }}
    group by tenant_id, customer_id
),

neighbourhoods_per_customer as (
    select
        identifiers.tenant_id,
        identifiers.customer_id,
        min(people.neighbourhood_id) as neighbourhood_id
    from identifiers
    inner join people
        on
            identifiers.tenant_id = people.tenant_id
            and identifiers.identifier_key = people.identifier_key
    group by identifiers.tenant_id, identifiers.customer_id
),

final as (
    select
        next_changes.tenant_id,
        next_changes.customer_id,
        neighbourhoods_per_customer.neighbourhood_id,
        next_changes.next_change_at
    from next_changes
    inner join neighbourhoods_per_customer
        on
            next_changes.tenant_id = neighbourhoods_per_customer.tenant_id
            and next_changes.customer_id = neighbourhoods_per_customer.customer_id
)

select * from final
