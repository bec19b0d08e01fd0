{{ config(
    unique_key=['tenant_id', 'activity_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id', 'occurred_at']}],
) }}

with order_activities as (
    select * from {{ ref('int_timeline__orders') }}
),

touchpoint_activities as (
    select * from {{ ref('int_timeline__touchpoints') }}
),

campaign_activities as (
    select * from {{ ref('int_timeline__campaigns') }}
),

client_events as (
    select * from {{ ref('int_customers__client_events') }}
),

stage_transitions as (
    select * from {{ ref('int_lifecycle__transitions') }}
),

points_movements as (
    select * from {{ ref('int_loyalty__movements') }}
),

gift_activities as (
    select * from {{ ref('int_timeline__gifts') }}
),

client_activities as (
    select
        tenant_id,
        'client_event:' || client_event_id as activity_id,
        customer_id,
        'client_event' as activity_type,
        occurred_at,
        'client_journey_events' as source,
        client_event_id as source_id,
        cast(null as numeric(14, 2)) as amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        replace(event_type, '_', ' ') || ' (' || replace(stage, '_', ' ') || ')' as title,
        metadata
    from client_events
),

stage_activities as (
    select
        tenant_id,
        'stage_change:' || transition_id as activity_id,
        customer_id,
        'stage_change' as activity_type,
        transitioned_at as occurred_at,
        'stage_transitions' as source,
        transition_id as source_id,
        cast(null as numeric(14, 2)) as amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        case
            when from_stage is null then 'First seen as ' || replace(to_stage, '_', ' ')
            else replace(from_stage, '_', ' ') || ' → ' || replace(to_stage, '_', ' ')
        end as title,
        {{ json_object({
            'from_stage': 'from_stage', 'to_stage': 'to_stage', 'trigger_type': 'trigger_type',
        }) }} as metadata
    from stage_transitions
),

points_activities as (
    select
        tenant_id,
        'points:' || movement_id as activity_id,
        customer_id,
        'points' as activity_type,
        occurred_at,
        'loyalty' as source,
        movement_id as source_id,
        cast(null as numeric(14, 2)) as amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        case when points > 0 then '+' else '' end
        || cast(points as {{ dbt.type_string() }})
        || ' points, '
        || case
            when points < 0 and movement_type like 'earn%' then 'taken back'
            else replace(movement_type, '_', ' ')
        end as title,
        {{ json_object({
            'points': 'points', 'balance_after': 'balance_after', 'reference_id': 'reference_id',
        }) }} as metadata
    from points_movements
),

all_activities as (
    select * from order_activities
    union all
    select * from touchpoint_activities
    union all
    select * from campaign_activities
    union all
    select * from client_activities
    union all
    select * from stage_activities
    union all
    select * from points_activities
    union all
    select * from gift_activities
),

final as (
    select
        tenant_id,
        activity_id,
        customer_id,
        activity_type,
        occurred_at,
        source,
        source_id,
        amount,
        currency,
        title,
        metadata
    from all_activities
)

-- What belongs to one customer stands together, so that a build of a few reads few pages.
select * from final
order by tenant_id, customer_id
