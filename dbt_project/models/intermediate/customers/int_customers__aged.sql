{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- For whom does this build write the rows that show an age or the verdict of a campaign? For
-- everybody whom it derives anew, for those who are a day older than at the build before, and where
-- a campaign has begun or ended since.
with touched as (
    select * from {{ ref('int_customers__touched') }}
),

customers as (
    select * from {{ ref('customers') }}
),

campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

final as (
    select
        tenant_id,
        customer_id
    from touched

    union

    select
        tenant_id,
        customer_id
    from customers
    where
        {{ is_a_day_older('last_purchase_at') }}
        or {{ is_a_day_older('coalesce(last_engaged_at, first_seen_at)') }}
        or {{ is_a_day_older(
            'coalesce(greatest(last_purchase_at, last_email_click_at), first_seen_at)'
        ) }}

    union

    select
        customers.tenant_id,
        customers.customer_id
    from customers
    inner join campaigns on customers.tenant_id = campaigns.tenant_id
    where
        {{ has_come('campaigns.starts_at') }}
        or {{ has_come('campaigns.ends_at') }}
)

select * from final
