"""Who sees what: tenants' logins, the policies of readable tables, and what is open to nobody."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table access.tenant_members (
        login text primary key,
        tenant_id text not null,
        added_at timestamptz not null
    )
    """,
    """
    comment on table access.tenant_members is
    'One row per login of a tenant: it sees the rows of that tenant.'
    """,
    # session_user is the login that the password was asked of; unlike current_user it stays the
    # same under set role, in functions and in views
    """
    create function access.visible_tenant() returns text
    language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp
    return case
        when session_user = 'journey_dashboard'
            then nullif(current_setting('journey.tenant', true), '')
        else (
            select members.tenant_id
            from access.tenant_members as members
            where members.login = session_user::text
        )
    end
    """,
    """
    comment on function access.visible_tenant() is
    'The tenant whose rows the login of this session sees. A session setting counts only for '
    'the dashboard''s own login.'
    """,
    "create table access.pattern (tenant_id text not null)",
    """
    comment on table access.pattern is
    'No row, ever: its policies are those that every table of readers must have.'
    """,
    """
    create function access.policies_of(relation regclass) returns text[]
    language sql stable set search_path = pg_catalog, pg_temp
    return array(
        select
            concat_ws(
                ' ',
                policies.polname,
                policies.polcmd,
                policies.polpermissive,
                array(
                    select roles.rolname::text
                    from pg_roles as roles
                    where roles.oid = any(policies.polroles)
                    order by 1
                ),
                pg_get_expr(policies.polqual, policies.polrelid),
                pg_get_expr(policies.polwithcheck, policies.polrelid)
            )
        from pg_policy as policies
        where policies.polrelid = relation
        order by 1
    )
    """,
    # the planner's estimates are drawn from the rows of all tenants, and explain shows them
    """
    create function access.telling_columns(relation regclass)
    returns table (name text, target integer)
    language sql stable set search_path = pg_catalog, pg_temp
    begin atomic
        select
            columns.attname::text,
            case when columns.attname = 'tenant_id' then 1 else 0 end
        from pg_attribute as columns
        where
            columns.attrelid = relation
            and columns.attnum > 0
            and not columns.attisdropped
            and (
                columns.attname = 'tenant_id'
                or (
                    columns.atttypid in ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype)
                    and columns.attname
                    ~ (
                        '(^|_)(email|phone|name|identifier|title|metadata|codes?|record|referrers|word)'
                        '(_[ab])?$'
                    )
                )
            )
            and columns.attstattarget
            is distinct from case when columns.attname = 'tenant_id' then 1 else 0 end;
    end
    """,
    """
    comment on function access.telling_columns(regclass) is
    'Columns of which statistics would tell readers about the rows of others, and how many values '
    'may be kept: of people none, of tenants the largest.'
    """,
    """
    create function access.is_protected(relation regclass) returns boolean
    language sql stable set search_path = pg_catalog, pg_temp
    return (
        select
            relations.relkind = 'r'
            and relations.relrowsecurity
            and access.policies_of(relation) = access.policies_of('access.pattern')
            and not exists (select 1 from access.telling_columns(relation))
            and not exists (
                select 1
                from unnest(
                    array['journey_reader', 'journey_dashboard', 'journey_staff', 'journey_sender']
                ) as readers (name)
                where not has_table_privilege(readers.name, relation, 'select')
            )
        from pg_class as relations
        where relations.oid = relation
    )
    """,
    # only what is missing: a change of a table's policies waits for those who read it
    """
    create function access.protect(relation regclass) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
    declare
        telling record;
    begin
        if access.is_protected(relation) then
            return;
        end if;
        for telling in select * from access.telling_columns(relation) loop
            execute format(
                'alter table %s alter column %I set statistics %s',
                relation, telling.name, telling.target
            );
        end loop;
        execute format('alter table %s enable row level security', relation);
        execute format('drop policy if exists rows_of_own_tenant on %s', relation);
        execute format('drop policy if exists rows_of_all_tenants on %s', relation);
        execute format(
            'create policy rows_of_own_tenant on %s for select '
            'to journey_reader, journey_dashboard '
            'using (tenant_id = (select access.visible_tenant()))',
            relation
        );
        execute format(
            'create policy rows_of_all_tenants on %s for select '
            'to journey_staff, journey_sender using (true)',
            relation
        );
        execute format(
            'grant select on %s '
            'to journey_reader, journey_dashboard, journey_staff, journey_sender',
            relation
        );
    end
    $$
    """,
    """
    comment on function access.protect(regclass) is
    'Lets readers see a table, and each of them only the rows of their tenant.'
    """,
    """
    create function access.faults() returns table (thing text, fault text)
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        with readers as (
            select 0::oid as role_id, 'everybody' as reader
            union all
            select roles.oid, roles.rolname::text
            from pg_roles as roles
            inner join pg_namespace as marts on marts.nspname = 'marts'
            where
                roles.rolname = 'journey_dashboard'
                or roles.rolname in (select members.login from access.tenant_members as members)
                or (
                    not roles.rolsuper
                    and roles.oid <> marts.nspowner
                    and (
                        pg_has_role(roles.oid, 'journey_reader', 'usage')
                        or pg_has_role(roles.oid, 'journey_staff', 'usage')
                    )
                )
        ),

        relations as (
            select
                classes.oid,
                classes.relkind,
                classes.relacl,
                schemas.nspname as schema_name,
                format('%I.%I', schemas.nspname, classes.relname) as relation
            from pg_class as classes
            inner join pg_namespace as schemas on classes.relnamespace = schemas.oid
            where
                classes.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
                and schemas.nspname not like 'pg^_%' escape '^'
                and schemas.nspname <> 'information_schema'
        )

        select
            relations.relation,
            'is not a table with the policies and grants of access.protect'
        from relations
        where
            (relations.schema_name = 'marts' or relations.relation = 'ops.loads')
            and relations.relkind <> 'S'
            and not access.is_protected(relations.oid)
        union all
        select
            relations.relation,
            format('%s may %s it', readers.reader, lower(rights.privilege_type))
        from relations
        cross join lateral aclexplode(relations.relacl) as rights
        inner join readers on rights.grantee = readers.role_id
        where
            rights.grantee = 0
            or rights.privilege_type <> 'SELECT'
            or not (relations.schema_name = 'marts' or relations.relation = 'ops.loads')
        union all
        select
            format('%s.%I', relations.relation, columns.attname),
            format('%s may %s it', readers.reader, lower(rights.privilege_type))
        from relations
        inner join pg_attribute as columns on relations.oid = columns.attrelid
        cross join lateral aclexplode(columns.attacl) as rights
        inner join readers on rights.grantee = readers.role_id
        where
            rights.grantee = 0
            or rights.privilege_type <> 'SELECT'
            or relations.relation <> 'ops.builds'
            or columns.attname
            not in ('build_id', 'as_of', 'started_at', 'finished_at', 'verdict')
        union all
        select
            format('schema %I', schemas.nspname),
            format('%s has the right %s there', readers.reader, lower(rights.privilege_type))
        from pg_namespace as schemas
        cross join lateral aclexplode(schemas.nspacl) as rights
        inner join readers on rights.grantee = readers.role_id
        where
            schemas.nspname not like 'pg^_%' escape '^'
            and schemas.nspname <> 'information_schema'
            and not (
                rights.privilege_type = 'USAGE'
                and (
                    schemas.nspname = 'public'
                    or (rights.grantee <> 0 and schemas.nspname in ('marts', 'ops'))
                )
            )
        union all
        select
            functions.oid::regprocedure::text,
            'readers may call it with the rights of its owner'
        from pg_proc as functions
        inner join pg_namespace as schemas on functions.pronamespace = schemas.oid
        where
            functions.prosecdef
            and schemas.nspname <> 'pg_catalog'
            and functions.oid <> 'access.visible_tenant()'::regprocedure
            and has_function_privilege('journey_reader', functions.oid, 'execute')
        union all
        select format('role %I', roles.rolname), 'reads past every policy'
        from readers
        inner join pg_roles as roles on readers.role_id = roles.oid
        where
            roles.rolsuper
            or roles.rolbypassrls
            or pg_has_role(roles.oid, 'pg_read_all_data', 'member')
            or pg_has_role(
                roles.oid,
                (select marts.nspowner from pg_namespace as marts where marts.nspname = 'marts'),
                'member'
            )
    $$
    """,
    """
    comment on function access.faults() is
    'What would let a reader see or change more than the rows of their tenant; no row is well.'
    """,
    """
    create function access.require_protection() returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
    declare
        found text;
    begin
        select string_agg(faults.thing || ' ' || faults.fault, '; ' order by thing, fault)
        into found
        from access.faults() as faults;
        if found is not null then
            raise exception 'Readers could see more than they may: %', found
            using hint = 'Take the right or the relation away, or call access.protect for a table.';
        end if;
    end
    $$
    """,
    "select access.protect('access.pattern')",
    """
    revoke all on access.pattern
    from journey_reader, journey_dashboard, journey_staff, journey_sender
    """,
    "select access.protect('ops.loads')",
    # a change of type, be it to the same one, drops the statistics that were kept so far
    """
    do $$
    declare
        kept record;
    begin
        for kept in
            select
                telling.name,
                columns.attrelid::regclass as relation,
                format_type(columns.atttypid, columns.atttypmod) as type
            from pg_class as relations
            cross join lateral access.telling_columns(relations.oid) as telling
            inner join pg_attribute as columns
                on relations.oid = columns.attrelid and telling.name = columns.attname
            where relations.relnamespace = 'marts'::regnamespace and relations.relkind = 'r'
        loop
            execute format(
                'alter table %s alter column %I type %s', kept.relation, kept.name, kept.type
            );
        end loop;
    end
    $$
    """,
    """
    select access.protect(relations.oid)
    from pg_class as relations
    where relations.relnamespace = 'marts'::regnamespace and relations.relkind = 'r'
    """,
    "alter default privileges revoke execute on functions from public",
    "revoke all on all functions in schema access from public",
    """
    grant execute on function access.visible_tenant()
    to journey_reader, journey_dashboard
    """,
    "revoke create on schema public from public",
    """
    grant usage on schema marts, ops
    to journey_reader, journey_dashboard, journey_staff, journey_sender
    """,
    """
    grant select (build_id, as_of, started_at, finished_at, verdict) on ops.builds
    to journey_reader, journey_dashboard, journey_staff
    """,
    "grant select on ops.builds to journey_sender",
    "grant usage on schema seeds, sync, outbox to journey_sender",
    "grant select on all tables in schema seeds, sync, outbox to journey_sender",
    "grant insert, update on all tables in schema outbox to journey_sender",
    """
    alter default privileges in schema seeds, sync, outbox grant select on tables to journey_sender
    """,
    "alter default privileges in schema outbox grant insert, update on tables to journey_sender",
)


def upgrade() -> None:
    """Make the policies and rights, and protect the marts that stand already."""
    for statement in STATEMENTS:
        op.execute(statement)
