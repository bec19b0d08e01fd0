"""Rows that somebody takes away from what builds keep are noticed."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table ops.lost_rows (
        loss_id bigint generated always as identity primary key,
        relation text not null,
        operation text not null,
        lost_by text not null,
        lost_at timestamptz not null
    )
    """,
    """
    comment on table ops.lost_rows is
    'One row per statement that took rows away from a kept table and was not of a build; '
    'gone once a build has derived everything anew.'
    """,
    "grant select on ops.lost_rows to journey_sender",
    """
    create function access.note_loss() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
    begin
        if current_setting('journey.replaces', true) is distinct from 'on' then
            insert into ops.lost_rows (relation, operation, lost_by, lost_at)
            values (
                format('%I.%I', tg_table_schema, tg_table_name),
                lower(tg_op),
                session_user,
                clock_timestamp()
            );
        end if;
        return null;
    end
    $$
    """,
    """
    comment on function access.note_loss() is
    'Notes a statement that takes rows away, unless its transaction says that it replaces them.'
    """,
    """
    create function access.watch(tables text[]) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
    declare
        unwatched regclass;
    begin
        for unwatched in
            select to_regclass(kept.name)
            from unnest(tables) as kept (name)
            where
                to_regclass(kept.name) is not null
                and not exists (
                    select 1
                    from pg_trigger as triggers
                    where
                        triggers.tgrelid = to_regclass(kept.name)
                        and triggers.tgname = 'note_loss'
                )
        loop
            execute format(
                'create trigger note_loss after delete or truncate on %s '
                'for each statement execute function access.note_loss()',
                unwatched
            );
        end loop;
    end
    $$
    """,
    """
    comment on function access.watch(text[]) is
    'Lets each of the tables note who takes rows away; one that does so is left alone.'
    """,
    # those of intermediate follow with the next build, which knows which of them are kept
    """
    select access.watch(array_agg(format('%I.%I', schemaname, tablename)))
    from pg_tables
    where schemaname in ('marts', 'sync')
    """,
)


def upgrade() -> None:
    """Make what notes losses, and let the tables that stand already have it."""
    for statement in STATEMENTS:
        op.execute(statement)
