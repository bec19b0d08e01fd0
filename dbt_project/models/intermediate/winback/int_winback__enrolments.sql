{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'message_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- Whose enrolment is it now? An id that was merged away leads to who has taken it over; an
-- enrolment of an id that nobody knows any more is nobody's. Two ids of one person may both have
-- been enrolled: the message that was sent first counts, else the hold-out, for it promises that
-- nothing is sent, else what was enrolled first.
with recorded as (
    select * from {{ ref('int_winback__recorded') }}
),

living as (
    select distinct
        tenant_id,
        customer_id
    from {{ ref('int_identity__people') }}
    where customer_id is not null
),

redirects as (
    select * from {{ ref('customer_redirects') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

derived_customers as (
    select distinct
        tenant_id,
        customer_id
    from identifiers
),

attributed as (
    select
        recorded.*,
        coalesce(living.customer_id, redirects.customer_id) as customer_id
    from recorded
    left join living
        on
            recorded.tenant_id = living.tenant_id
            and recorded.enrolled_customer_id = living.customer_id
    left join redirects
        on
            recorded.tenant_id = redirects.tenant_id
            and recorded.enrolled_customer_id = redirects.old_customer_id
),

final as (
    select
        attributed.tenant_id,
        attributed.campaign_id,
        attributed.customer_id,
        attributed.enrolled_customer_id,
        attributed.enrolled_at,
        attributed.is_held_out,
        attributed.message_id,
        attributed.sent_at,
        attributed.skipped_at,
        attributed.skip_reason,
        row_number() over (
            partition by attributed.tenant_id, attributed.campaign_id, attributed.customer_id
            order by
                attributed.sent_at nulls last,
                case when attributed.is_held_out then 1 else 2 end,
                attributed.enrolled_at,
                attributed.message_id
        ) as preference
    from attributed
    -- only whom this build derives anew
    inner join derived_customers
        on
            attributed.tenant_id = derived_customers.tenant_id
            and attributed.customer_id = derived_customers.customer_id
)

select * from final
