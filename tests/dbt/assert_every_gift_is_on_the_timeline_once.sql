-- A returned row is a gift of a customer that the timeline lacks, or an activity without its gift.
with gifts as (
    select * from {{ ref('gifts') }}
    where
        customer_id is not null
        and {{ is_touched('gifts') }}
),

timeline as (
    select * from {{ ref('customer_activity_timeline') }}
    where {{ is_touched('customer_activity_timeline') }}
),

gift_activities as (
    select *
    from timeline
    where activity_type = 'gift'
)

select
    gifts.tenant_id,
    gifts.gift_id,
    gift_activities.activity_id
from gifts
full outer join gift_activities
    on
        gifts.tenant_id = gift_activities.tenant_id
        and 'gift:' || gifts.gift_id = gift_activities.activity_id
        and gifts.customer_id = gift_activities.customer_id
where
    gifts.gift_id is null
    or gift_activities.activity_id is null
