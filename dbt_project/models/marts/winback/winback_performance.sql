{{ config(unique_key=['tenant_id', 'campaign_id']) }}

with campaigns as (
    select * from {{ ref('winback_campaigns') }}
),

recipients as (
    select * from {{ ref('winback_recipients') }}
),

recipients_per_campaign as (
    select
        tenant_id,
        campaign_id,
        count(*) as targeted_count,
        count(*) filter (where is_held_out) as held_out_count,
        count(*) filter (where status = 'pending') as pending_count,
        count(*) filter (where status = 'skipped') as skipped_count,
        count(*) filter (where sent_at is not null) as sent_count,
        count(opened_at) as opened_count,
        count(clicked_at) as clicked_count,
        count(unsubscribed_at) as unsubscribed_count,
        count(*) filter (where status = 'expired') as expired_count,
        count(*) filter (where status = 'recovered') as recovered_count,
        sum(recovered_amount) filter (where not is_held_out) as recovered_amount,
        count(*) filter (where is_held_out and is_compared) as held_out_compared_count,
        count(recovered_at) filter (where is_held_out and is_compared) as held_out_recovered_count
    from recipients
    group by tenant_id, campaign_id
),

{% set counts = [
    'targeted_count', 'held_out_count', 'pending_count', 'skipped_count', 'sent_count',
    'opened_count', 'clicked_count', 'unsubscribed_count', 'expired_count', 'recovered_count',
    'held_out_compared_count', 'held_out_recovered_count',
] -%}
numbers as (
    select
        campaigns.tenant_id,
        campaigns.campaign_id,
        campaigns.campaign_name,
        campaigns.currency,
        {%- for count in counts %}
            coalesce(recipients_per_campaign.{{ count }}, 0) as {{ count }},
        {%- endfor %}
        coalesce(recipients_per_campaign.recovered_amount, 0) as recovered_amount
    from campaigns
    left join recipients_per_campaign
        on
            campaigns.tenant_id = recipients_per_campaign.tenant_id
            and campaigns.campaign_id = recipients_per_campaign.campaign_id
),

intervals as (
    select
        numbers.*,
        cast(recovered_count as double precision) / nullif(sent_count, 0) as rate,
        {{ wilson_bound('recovered_count', 'sent_count', '-') }} as rate_low,
        {{ wilson_bound('recovered_count', 'sent_count', '+') }} as rate_high,
        cast(held_out_recovered_count as double precision)
        / nullif(held_out_compared_count, 0) as held_out_rate,
        {{ wilson_bound('held_out_recovered_count', 'held_out_compared_count', '-') }}
            as held_out_rate_low,
        {{ wilson_bound('held_out_recovered_count', 'held_out_compared_count', '+') }}
            as held_out_rate_high
    from numbers
),

-- Newcombe's method 10: the distances of both Wilson intervals from their rates, at right angles.
lifts as (
    select
        intervals.*,
        rate - held_out_rate as lift,
        sqrt(
            (rate - rate_low) * (rate - rate_low)
            + (held_out_rate_high - held_out_rate) * (held_out_rate_high - held_out_rate)
        ) as lift_below,
        sqrt(
            (rate_high - rate) * (rate_high - rate)
            + (held_out_rate - held_out_rate_low) * (held_out_rate - held_out_rate_low)
        ) as lift_above
    from intervals
),

final as (
    select
        tenant_id,
        campaign_id,
        campaign_name,
        {%- for count in counts %}
            cast({{ count }} as {{ dbt.type_bigint() }}) as {{ count }},
        {%- endfor %}
        cast(recovered_amount as numeric(14, 2)) as recovered_amount,
        currency,
        {%- for what in ['opened', 'clicked', 'unsubscribed'] %}
            cast(
                cast({{ what }}_count as numeric) / nullif(sent_count, 0) as numeric(6, 4)
            ) as {{ what }}_rate,
        {%- endfor %}
        cast(rate as numeric(6, 4)) as recovered_rate,
        cast(held_out_rate as numeric(6, 4)) as held_out_recovered_rate,
        cast(lift as numeric(6, 4)) as lift_rate,
        cast(lift - lift_below as numeric(6, 4)) as lift_low_rate,
        cast(lift + lift_above as numeric(6, 4)) as lift_high_rate
    from lifts
)

select * from final
