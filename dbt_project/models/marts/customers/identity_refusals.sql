{{ config(
    unique_key=['tenant_id', 'identifier_a', 'identifier_b', 'rule'],
    meta={'within': 'int_identity__touched', 'within_as': {'identifier_key': 'identifier_b'}},
    indexes=[{'columns': ['tenant_id', 'identifier_b']}],
) }}

-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
with refused_by_cap as (
    select * from {{ ref('int_identity__refused_by_cap') }}
),

guarded_edges as (
    select * from {{ ref('int_identity__guarded_edges') }}
),

refused_steps as (
    select * from {{ ref('int_identity__guarded_steps') }}
    where refused_as is not null
),

final as (
    select
        tenant_id,
        identifier_a,
        identifier_b,
        'cap' as rule,
        reason,
        source_record
    from refused_by_cap

    union all

    select
        guarded_edges.tenant_id,
        guarded_edges.key_a as identifier_a,
        guarded_edges.key_b as identifier_b,
        case when refused_steps.refused_as = 'rule' then 'never' else 'veto' end as rule,
        case refused_steps.refused_as
            when 'rule' then 'It would join a pair that identity_rules keeps apart'
            when 'contact' then 'It would join two client records'
            else 'It would join two shop accounts'
        end as reason,
        guarded_edges.source_record
    from refused_steps
    inner join guarded_edges
        on
            refused_steps.tenant_id = guarded_edges.tenant_id
            and refused_steps.cluster_id = guarded_edges.cluster_id
            and refused_steps.step = guarded_edges.step
)

select * from final
