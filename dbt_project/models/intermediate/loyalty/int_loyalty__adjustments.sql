with adjustments as (
    select * from {{ ref('stg_loyalty__adjustments') }}
),

customer_identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

-- The e-mail decides; the phone only speaks where the e-mail is unknown.
final as (
    select
        adjustments.tenant_id,
        adjustments.adjustment_id,
        coalesce(by_email.customer_id, by_phone.customer_id) as customer_id,
        case
            when by_email.customer_id is not null then 'email'
            when by_phone.customer_id is not null then 'phone'
        end as matched_by,
        adjustments.adjustment_type,
        adjustments.points,
        adjustments.reason,
        adjustments.occurred_at
    from adjustments
    left join customer_identifiers as by_email
        on
            adjustments.tenant_id = by_email.tenant_id
            and by_email.identifier_type = 'email'
            and adjustments.email = by_email.identifier
    left join customer_identifiers as by_phone
        on
            adjustments.tenant_id = by_phone.tenant_id
            and by_phone.identifier_type = 'phone'
            and adjustments.phone = by_phone.identifier
)

select * from final
