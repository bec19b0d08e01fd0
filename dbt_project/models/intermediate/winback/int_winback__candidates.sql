{{ config(
    unique_key=['tenant_id', 'campaign_id', 'customer_id'],
    post_hook=admit_sender(),
) }}

-- Whom the next run enrols: those who have stood in their stage for longest come first, up to the
-- campaign's limit for a run. The held-out share counts towards it, so that every run holds out the
-- same share. It is drawn from the ids, once; what was recorded at an enrolment then stands.
with eligibility as (
    select * from {{ ref('winback_eligibility') }}
    where is_eligible
),

campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

in_line as (
    select
        eligibility.tenant_id,
        eligibility.campaign_id,
        eligibility.customer_id,
        {{ hash_bucket([
            'eligibility.tenant_id', 'eligibility.campaign_id', 'eligibility.customer_id'
        ], 100) }} < campaigns.holdout_percent as is_held_out,
        {{ hash_id([
            'eligibility.tenant_id', "'winback'", 'eligibility.campaign_id',
            'eligibility.customer_id',
        ]) }} as message_id,
        greatest(
            {{ add_days('eligibility.stage_since', 'campaigns.send_delay_days') }},
            campaigns.starts_at,
            {{ as_of() }}
        ) as due_at,
        campaigns.max_recipients_per_run,
        row_number() over (
            partition by eligibility.tenant_id, eligibility.campaign_id
            order by eligibility.stage_since, eligibility.customer_id
        ) as place
    from eligibility
    -- every verdict is about a campaign that is defined
    inner join campaigns
        on
            eligibility.tenant_id = campaigns.tenant_id
            and eligibility.campaign_id = campaigns.campaign_id
),

final as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        is_held_out,
        message_id,
        due_at
    from in_line
    where place <= max_recipients_per_run
)

select * from final
