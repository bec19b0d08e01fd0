{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- A lead is a captured e-mail: a lead record that has one, or a lead_capture touchpoint of somebody
-- whose e-mail is known.
with lead_records as (
    {{ owned_rows('stg_leads__leads', 'leads') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

customers_with_email as (
    select distinct
        tenant_id,
        customer_id
    from identifiers
    where identifier_type = 'email'
),

captures as (
    select
        lead_records.tenant_id,
        identifiers.customer_id,
        lead_records.captured_at,
        'lead:' || lead_records.lead_id as reference_id
    from lead_records
    -- drops the leads whose e-mail is missing or blocked
    inner join identifiers
        on
            lead_records.tenant_id = identifiers.tenant_id
            and identifiers.identifier_type = 'email'
            and lead_records.email = identifiers.identifier

    union all

    select
        touchpoints.tenant_id,
        touchpoints.customer_id,
        touchpoints.occurred_at as captured_at,
        'touchpoint:' || touchpoints.touchpoint_id as reference_id
    from touchpoints
    -- drops the captures of people without a usable e-mail
    inner join customers_with_email
        on
            touchpoints.tenant_id = customers_with_email.tenant_id
            and touchpoints.customer_id = customers_with_email.customer_id
    where touchpoints.touchpoint_type = 'lead_capture'
),

ranked as (
    select
        captures.*,
        row_number() over (
            partition by customer_id, tenant_id order by captured_at, reference_id
        ) as capture_order
    from captures
),

final as (
    select
        tenant_id,
        customer_id,
        captured_at,
        reference_id
    from ranked
    where capture_order = 1
)

select * from final
