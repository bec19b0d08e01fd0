"""The command `journey`: it calls the functions that do the work, and shows what they report.

Everything heavy is imported inside the commands, so that `--help` is instant.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from orchestration.warehouse.errors import DatabaseUnavailable, JourneyError

if TYPE_CHECKING:
    from orchestration.identity import Identity, Tie
    from orchestration.ingest.load import FileResult, Progress
    from orchestration.settings import Settings

app = typer.Typer(
    help="A customer-analytics warehouse: landing files become marts and messages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)

PLAIN_WIDTH = 200
INTERRUPTED = 130

AsJson = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
SHOWN_MODELS = 5


class FileFormat(StrEnum):
    """How the sample's tables are written."""

    csv = "csv"
    parquet = "parquet"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command. Expected errors print one message and exit with 1, wrong usage with 2.

    An interrupt exits with 130.
    """
    # a log that cannot be written, as on a full disk, is no reason for a page of stack traces
    logging.raiseExceptions = False
    try:
        app(args=arguments, prog_name="journey", standalone_mode=True)
    except JourneyError as error:
        _complain(str(error))
    except SystemExit as end:
        # typer makes this of a Ctrl-C, without a word
        if end.code == INTERRUPTED:
            _complain("Interrupted. What was under way is not kept; run the command again.")
        raise
    sys.exit(1)


@app.command()
def up(
    database_only: Annotated[
        bool, typer.Option("--database-only", help="Start the database, not the Dagster UI.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start the database and the Dagster UI with its schedules; bring the tables up to date."""
    from orchestration import services
    from orchestration.warehouse.database import check_version, engine, migrate
    from orchestration.warehouse.storage import make_folder

    settings = _settings()
    notes: list[str] = []
    if settings.uses_embedded_database:
        from orchestration.warehouse.postgres import EmbeddedServer

        report = EmbeddedServer(settings).start()
        was_running = report.already_running
        notes += report.notes
    else:
        was_running = True
    database = engine(settings)
    version = check_version(database)
    migrate(database)
    database.dispose()
    if settings.landing == str(settings.home / "landing"):
        make_folder(Path(settings.landing))
    if not database_only:
        notes += services.start(settings)

    facts = _facts(settings)
    if as_json:
        _print_json(facts | {"notes": notes})
        return
    where = facts["database"]
    state = "is running" if was_running else "started"
    _say(f"PostgreSQL {version} {state} at {where['host']}:{where['port']}/{where['name']}")
    for service in services.states(settings):
        if service.url:
            _say(f"Dagster UI: {service.url}. Its schedules and the landing sensor stay off until")
            _say(f"you switch them on at {service.url}/automation")
    for note in notes:
        _say(note)
    _say("Connect with: journey psql, or paste the address that journey url prints")


@app.command()
def down(as_json: AsJson = False) -> None:
    """Stop what `up` started. Nothing is lost; an external database is left alone."""
    from orchestration import services

    settings = _settings()
    stopped = services.stop(settings)
    if settings.uses_embedded_database:
        from orchestration.warehouse.postgres import EmbeddedServer

        if EmbeddedServer(settings).stop():
            stopped.append("postgresql")
    if as_json:
        _print_json({"stopped": stopped})
    else:
        _say(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what runs, the last build and the last loads."""
    facts = _facts(_settings())
    if as_json:
        _print_json(facts)
        return
    _table(
        "",
        ("part", "state", "where"),
        [
            (
                f"database ({facts['database']['kind']})",
                facts["database"]["status"],
                facts["database"].get("problem")
                or f"{facts['database']['host']}:{facts['database']['port']}",
            ),
            *(
                (part["name"], "running" if part["pid"] else "stopped", part["url"] or part["log"])
                for part in facts["services"]
            ),
        ],
    )
    build_facts = facts["last_build"]
    if build_facts:
        _say(
            f"Last build: {build_facts['verdict']}, as of {build_facts['as_of']}, "
            f"started {build_facts['started_at']}"
            + (f": {build_facts['error']}" if build_facts["error"] else "")
        )
        if build_facts["quality"]:
            _say(_checked(build_facts["quality"]))
        for boundary in build_facts["quality"].values():
            for words in boundary["warnings"]:
                _complain(f"Warning: {words}")
    elif facts["database"]["status"] == "running":
        _say("Last build: none yet. Make one with: journey build")
    for words in facts["late"]:
        _complain(f"Late: {words}")
    if facts["last_loads"]:
        _table(
            "Last loads",
            ("file", "status", "read", "loaded", "unchanged", "rejected"),
            [
                (
                    one["file"],
                    one["status"],
                    *(one[f"rows_{what}"] for what in ("read", "loaded", "unchanged", "rejected")),
                )
                for one in facts["last_loads"]
            ],
        )


@app.command()
def url(
    role: Annotated[
        str | None, typer.Option(help="The role to connect as (default: the owner).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print where to connect, with the password, ready to paste."""
    address = _address(_settings(), role)
    if as_json:
        _print_json(
            {
                "url": _pasteable(address),
                "host": address.host,
                "port": address.port or 5432,
                "database": address.database,
                "user": address.username,
            }
        )
    else:
        typer.echo(_pasteable(address))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="What follows goes to psql, as in: journey psql -c 'select 1'",
)
def psql(
    context: typer.Context,
    role: Annotated[
        str | None, typer.Option("--role", help="The role to connect as (default: the owner).")
    ] = None,
) -> None:
    """Open a shell in the database."""
    from orchestration.warehouse.postgres import EmbeddedServer, binaries

    settings = _settings()
    address = _address(settings, role)
    if settings.uses_embedded_database and EmbeddedServer(settings).state().status != "running":
        raise DatabaseUnavailable("The database does not run. Start it with: journey up")
    environment = dict(os.environ)
    if address.password:
        environment["PGPASSWORD"] = str(address.password)
    program = str(binaries() / "psql")
    place = _pasteable(address.set(password=None))
    sys.stdout.flush()
    os.execve(program, [program, *context.args, place], environment)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the set-up, and say how to mend what is wrong. Exit code 1 when something is."""
    from dataclasses import asdict

    from orchestration.doctor import examine

    checks = []
    for check in examine(_settings()):
        checks.append(check)
        if not as_json:
            mark = "[green]ok[/]     " if check.ok else "[red]problem[/]"
            _console().print(f"{mark} {check.name}: ", end="")
            _say(check.found)
            if check.remedy:
                _say(f"        mend it with: {check.remedy}")
    if as_json:
        _print_json([asdict(check) for check in checks])
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def load(as_json: AsJson = False) -> None:
    """Load what is new in the landing zone. Exit code 1 when a file is refused."""
    from orchestration.ingest.load import load_landing
    from orchestration.warehouse.builds import locked
    from orchestration.warehouse.database import engine

    settings = _settings()
    database = engine(settings)
    try:
        # a build reads raw for minutes, and must read the same rows from start to end
        with locked(database), _Bar("Loading", of_bytes=True) as bar:

            def show(progress: Progress) -> None:
                bar.advance_to(progress.bytes_done, progress.bytes_total)
                if progress.result and progress.result.status != "already_loaded":
                    bar.say(_told(progress.result))

            report = load_landing(database, settings, None if as_json else show)
    finally:
        database.dispose()
    if as_json:
        _print_json(report.to_dict())
    else:
        for problem in report.problems:
            _complain(f"{problem.file}: {problem.problem}")
        _say(_loaded(report.to_dict()["totals"]))
    if not report.is_clean:
        raise typer.Exit(1)


@app.command()
def build(
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Build as of this instant, like 2026-07-01T00:00:00Z."),
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Derive everything anew from raw.")
    ] = False,
    select: Annotated[
        str | None, typer.Option("--select", help="Only these models, in dbt's notation.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load, check and transform, as the schedule does.

    Exit code 1 when anything fails, and also when the build succeeds but files were refused or
    lie where they do not belong, for they are missing from the marts; 130 when it is interrupted.
    """
    moment = _moment(as_of)
    from orchestration.build import build as run_build

    with _Ticker(quiet=as_json) as ticker:
        report = run_build(
            _settings(),
            moment,
            full_refresh=full_refresh,
            select=select,
            progress=ticker.tell,
        )
    if as_json:
        _print_json(report.to_dict())
    else:
        for line in (*report.left_out, *report.errors):
            _complain(line)
        for line in report.warnings:
            _complain(f"Warning: {line}")
        if report.load:
            _say(_loaded(report.load["totals"]))
        _say(
            f"Build {report.build.verdict} as of {_instant(report.build.as_of)} "
            f"in {report.seconds:.1f} s: "
            + ", ".join(f"{name} {took:.1f}" for name, took in report.seconds_per_step.items())
        )
        slowest = list(report.seconds_per_model.items())[:SHOWN_MODELS]
        if slowest:
            _say("Slowest models: " + ", ".join(f"{name} {took:.1f}" for name, took in slowest))
        if report.tests:
            _say("Tests: " + ", ".join(f"{count} {what}" for what, count in report.tests.items()))
        if report.quality:
            _say(_checked(report.quality))
        if report.written:
            _say(
                "Messages: "
                + ", ".join(f"{count:,} {output}" for output, count in report.written.items())
            )
        if report.succeeded and report.left_out:
            _complain(f"Build succeeded, but {_left_out(report.load)}: see above")
    if report.left_out or not report.succeeded:
        raise typer.Exit(1)


@app.command()
def deliver(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write what the last build decided to send, as files. Nothing leaves this machine.

    The delivery shows in the Dagster UI as a run of the outputs.
    """
    from orchestration.defs.run import run_outputs

    report = run_outputs(_settings(), tenant)
    if as_json:
        _print_json(report.to_dict())
        return
    amounts = ("written", "waiting", "expired", "recorded")
    _table(
        "",
        ("tenant", "destination", "purpose", *amounts),
        [
            (one.tenant_id, one.destination, one.purpose, *(getattr(one, what) for what in amounts))
            for one in report.purposes
        ],
    )
    _say(f"{report.total('written'):,} messages as of {_instant(report.as_of)}, as files below")
    _say(f"{report.folder}")


@app.command()
def sample(
    directory: Annotated[Path, typer.Argument(help="The landing folder to write.")],
    customers: Annotated[int, typer.Option(help="How many, in all tenants together.")] = 2_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 7,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="Of the touchpoints, the largest table.")
    ] = FileFormat.csv,
    as_json: AsJson = False,
) -> None:
    """Write realistic landing files for every source, with known dirty rows among them."""
    from orchestration.sample.generate import generate

    with _Bar("Writing", quiet=as_json) as bar:
        report = generate(directory, customers, seed, file_format.value, bar.advance_to)
    rows = sum(report.rows.values())
    if as_json:
        _print_json(
            {
                "directory": report.directory,
                "manifest": report.manifest,
                "as_of": report.as_of,
                "customers": report.customers,
                "rows": rows,
                "dirty_rows": report.dirty_rows,
                "files": report.files,
            }
        )
    else:
        _say(
            f"{report.customers:,} people, {rows:,} rows ({report.dirty_rows} of them dirty) in "
            f"{len(report.files)} files below {report.directory}"
        )
        _say(f"What is true of them: {report.manifest}. Build with: --as-of {report.as_of}")


@app.command()
def story(
    identifier: Annotated[str, typer.Argument(help="An e-mail, a phone, an id, a customer_id.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose customer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell one customer's whole story from the marts."""
    from orchestration.story import tell_story
    from orchestration.warehouse.database import engine

    database = engine(_settings())
    try:
        told = tell_story(database, identifier, tenant)
    finally:
        database.dispose()
    if as_json:
        _print_json(told.to_dict())
        return
    person = told.customer
    name = " ".join(filter(None, (person["first_name"], person["last_name"]))) or "Somebody"
    currency = person["currency"]
    _say(f"{name}, {person['stage'].replace('_', ' ')} of {person['tenant_id']}")
    _say(f"customer_id {person['customer_id']}, first seen {person['first_seen_at']:%Y-%m-%d}")
    _show_identities(told.identities)
    affinity = person["primary_collection"] or "none yet"
    _say(
        f"\n{person['total_orders']} orders worth {person['lifetime_value']:,} {currency}; lead "
        f"score {person['lead_score']} ({person['lead_band']}); affinity {affinity}; e-mail "
        + ("subscribed" if person["email_subscribed"] else "not subscribed")
    )
    if told.loyalty:
        _say(
            f"Loyalty tier {told.loyalty['tier']}, {told.loyalty['points_balance']} points, "
            f"referral code {told.loyalty['referral_code']}"
        )
    open_stays = [stay["segment_id"] for stay in told.segments if stay["removed_at"] is None]
    _say(f"Segments: {', '.join(open_stays) or 'none'}")
    _table(
        "\nWhat happened",
        ("when (UTC)", "what", "amount"),
        [
            (
                f"{one['occurred_at']:%Y-%m-%d %H:%M}",
                one["title"],
                "" if one["amount"] is None else f"{one['amount']:,} {one['currency']}",
            )
            for one in told.activities
        ],
    )
    if told.messages:
        _table(
            "\nMessages",
            ("purpose", "to", "state", "not before (UTC)"),
            [
                (
                    one["purpose"],
                    one["destination"],
                    one["state"].replace("_", " "),
                    "" if one["not_before"] is None else f"{one['not_before']:%Y-%m-%d %H:%M}",
                )
                for one in told.messages
            ],
        )


@app.command("explain-identity")
def explain_identity(
    identifier: Annotated[str, typer.Argument(help="An e-mail, a phone, an id, a customer_id.")],
    other: Annotated[
        str | None, typer.Argument(help="Another: what ties the two, or keeps them apart?")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose customer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Explain who somebody is, or why two identifiers are, or are not, one customer."""
    from orchestration import identity
    from orchestration.warehouse.database import engine

    explained: identity.Identity | identity.Tie
    database = engine(_settings())
    try:
        if other is None:
            explained = identity.explain_identity(database, identifier, tenant)
        else:
            explained = identity.explain_tie(database, identifier, other, tenant)
    finally:
        database.dispose()
    if as_json:
        _print_json(explained.to_dict())
    elif isinstance(explained, identity.Tie):
        _show_tie(explained)
    else:
        _show_identity(explained)


def _show_identities(identities: list[dict[str, Any]]) -> None:
    _table(
        "\nKnown by",
        ("identifier", "value", "first source", "seen"),
        [
            (one["identifier_type"], one["identifier"], one["source"], one["seen_count"])
            for one in identities
        ],
    )


def _show_identity(found: Identity) -> None:
    if found.customer is None:
        _say(f"{found.asked} belongs to nobody in {found.tenant_id}")
    else:
        person = found.customer
        name = " ".join(filter(None, (person["first_name"], person["last_name"]))) or "Somebody"
        _say(f"{name}, customer {found.customer_id} of {found.tenant_id}")
        _say(f"E-mail {person['email'] or 'none'}, phone {person['phone'] or 'none'}")
        if found.old_customer_id:
            _say(f"{found.old_customer_id} is an old id of this customer")
        _show_identities(found.identities)
    if found.redirects:
        _table(
            "\nOld ids",
            ("customer_id", "why", "as of (UTC)"),
            [
                (one["old_customer_id"], one["reason"], f"{one['merged_at']:%Y-%m-%d %H:%M}")
                for one in found.redirects
            ],
        )
    if found.splits:
        _table(
            "\nTaken apart",
            ("customer_id", "was part of", "as of (UTC)"),
            [
                (
                    one["customer_id"],
                    one["split_from_customer_id"],
                    f"{one['split_at']:%Y-%m-%d %H:%M}",
                )
                for one in found.splits
            ],
        )
    if found.refusals:
        _table(
            "\nRefused ties",
            ("identifier", "and", "by", "why", "a record"),
            [
                tuple(
                    one[name]
                    for name in ("identifier_a", "identifier_b", "rule", "reason", "source_record")
                )
                for one in found.refusals
            ],
        )
    elif found.customer is None:
        _say("Records mention it, and none shows whose it is.")


def _show_tie(tie: Tie) -> None:
    one, other = tie.asked
    if tie.verdict == "one customer":
        _say(f"{one} and {other} are one customer of {tie.tenant_id}: {tie.customer_ids[0]}")
        if not tie.steps:
            _say("Both name the same identifier.")
    else:
        _say(f"{one} and {other} are not one customer of {tie.tenant_id}:")
        for asked, customer_id in zip(tie.asked, tie.customer_ids, strict=True):
            _say(f"{asked} is " + (customer_id or "nobody's"))
        if tie.verdict == "never seen together":
            _say("No record shows them together, or anything that leads from one to the other.")
        for step in tie.refused:
            _say(
                f"Refused ({step.refused_by}): {step.identifier_a} and {step.identifier_b}. "
                f"{step.reason}."
            )
    if tie.steps:
        _table(
            "\nFrom record to record",
            ("identifier", "and", "source", "record", "tie"),
            [
                (
                    step.identifier_a,
                    step.identifier_b,
                    step.source,
                    step.record,
                    f"refused by {step.refused_by}" if step.refused_by else "holds",
                )
                for step in tie.steps
            ],
        )


@app.command()
def overview(as_json: AsJson = False) -> None:
    """Show the funnel of each tenant and the size of each mart."""
    from orchestration import services
    from orchestration.story import describe_warehouse
    from orchestration.warehouse.database import engine

    settings = _settings()
    database = engine(settings)
    try:
        seen = describe_warehouse(database)
    finally:
        database.dispose()
    if as_json:
        _print_json(seen.to_dict())
        return
    _say(f"As of {seen.build['as_of']:%Y-%m-%d %H:%M} UTC, build {seen.build['verdict']}")
    if seen.funnel:
        _table(
            "\nFunnel",
            tuple(seen.funnel[0]),
            [
                tuple(
                    f"{value:,}" if not isinstance(value, str) else value for value in step.values()
                )
                for step in seen.funnel
            ],
        )
    _table(
        "\nRows",
        ("mart", "rows"),
        [(mart, f"{count:,}") for mart, count in seen.row_counts.items()],
    )
    _say(f"\nNext: {sys.argv[0]} up opens {services.webserver_url(settings)}, with every asset")


def _settings() -> Settings:
    from orchestration.settings import get_settings

    return get_settings()


def _address(settings: Settings, role: str | None) -> Any:
    from orchestration.warehouse.database import database_url

    if settings.uses_embedded_database:
        from orchestration.warehouse.postgres import OWNER, EmbeddedServer

        server = EmbeddedServer(settings)
        known = server.credentials()
        if role and known and role not in known:
            raise typer.BadParameter(
                f"there is no role {role}; known: {', '.join(sorted(known))}", param_hint="--role"
            )
        return server.url(role or OWNER)
    address = database_url(settings)
    if role and role != address.username:
        raise typer.BadParameter(
            f"JOURNEY_DATABASE_URL has the password of {address.username} only", param_hint="--role"
        )
    return address


def _pasteable(address: Any) -> str:
    return str(address.set(drivername="postgresql").render_as_string(hide_password=False))


def _facts(settings: Settings) -> dict[str, Any]:
    """What runs, and what was done last; a database that is down is a fact, not an error."""
    from orchestration import services

    facts: dict[str, Any] = {
        "home": str(settings.home),
        "landing": settings.landing,
        "database": _database_facts(settings),
        "services": [
            {"name": one.name, "pid": one.pid, "url": one.url, "log": str(one.log)}
            for one in services.states(settings)
        ],
        "last_build": None,
        "last_loads": [],
        "late": [],
    }
    if facts["database"]["status"] == "running" and facts["database"]["migrated"]:
        facts["last_build"] = _last_build(settings)
        facts["late"] = _late(settings)
        facts["last_loads"] = _rows(
            settings,
            "select load_id, file, status, error, rows_read, rows_loaded, rows_unchanged, "
            "rows_rejected, finished_at from ops.loads order by load_id desc limit 5",
        )
    return facts


def _last_build(settings: Settings) -> dict[str, Any] | None:
    from orchestration.warehouse.builds import settled_latest_build
    from orchestration.warehouse.database import engine

    database = engine(settings)
    try:
        with database.connect() as connection:
            last = settled_latest_build(connection)
    finally:
        database.dispose()
    if last is None:
        return None
    names = ("build_id", "as_of", "started_at", "finished_at", "verdict", "error")
    return {
        **{name: getattr(last, name) for name in names},
        "quality": last.details.get("quality", {}),
    }


def _late(settings: Settings) -> list[str]:
    """What should have come by now, in words; a seed that cannot be read is said instead."""
    from orchestration.quality.boundaries import late
    from orchestration.seeds.files import SeedError
    from orchestration.warehouse.database import engine

    database = engine(settings)
    try:
        return late(database, datetime.now(UTC))
    except SeedError as error:
        return str(error).splitlines()
    finally:
        database.dispose()


def _database_facts(settings: Settings) -> dict[str, Any]:
    from orchestration.warehouse.database import (
        check_version,
        database_url,
        engine,
        is_migrated,
    )

    facts: dict[str, Any] = {
        "kind": "embedded" if settings.uses_embedded_database else "external",
        "status": "stopped",
        "host": None,
        "port": None,
        "name": None,
        "migrated": False,
    }
    try:
        address = database_url(settings)
        facts |= {"host": address.host, "port": address.port or 5432, "name": address.database}
        database = engine(settings)
        try:
            facts["version"] = check_version(database)
            facts["migrated"] = is_migrated(database)
            facts["status"] = "running"
        finally:
            database.dispose()
    except DatabaseUnavailable as error:
        facts["problem"] = str(error)
    return facts


def _rows(settings: Settings, query: str) -> list[dict[str, Any]]:
    from sqlalchemy import text

    from orchestration.warehouse.database import engine

    database = engine(settings)
    try:
        with database.connect() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]
    finally:
        database.dispose()


def _moment(value: str | None) -> datetime | None:
    from orchestration.warehouse.builds import AsOfError, parse_as_of

    try:
        return None if value is None else parse_as_of(value)
    except AsOfError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None


def _told(result: FileResult) -> str:
    if result.status == "refused":
        return f"{result.file}: refused: {result.error}"
    return (
        f"{result.file}: {result.rows_read:,} rows read = {result.rows_loaded:,} loaded + "
        f"{result.rows_unchanged:,} unchanged + {result.rows_rejected:,} rejected "
        f"in {result.seconds:.1f} s"
    )


def _left_out(load: dict[str, Any]) -> str:
    refused, problems = len(load["refused"]), len(load["problems"])
    parts = [
        f"{refused:,} {'file was' if refused == 1 else 'files were'} refused" if refused else "",
        f"{problems:,} of the landing zone's files and folders passed over" if problems else "",
    ]
    return " and ".join(filter(None, parts))


def _loaded(totals: dict[str, int]) -> str:
    return (
        f"{totals['files_loaded']:,} files loaded, {totals['files_already_loaded']:,} already "
        f"there, {totals['files_refused']:,} refused; {totals['rows_read']:,} rows read = "
        f"{totals['rows_loaded']:,} loaded + {totals['rows_unchanged']:,} unchanged + "
        f"{totals['rows_rejected']:,} rejected"
    )


def _checked(quality: dict[str, Any]) -> str:
    return "Expectations: " + "; ".join(
        f"{found['expectations']} of {boundary} asked, {found['errors']} errors, "
        f"{len(found['warnings'])} warnings"
        for boundary, found in quality.items()
    )


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


class _Ticker:
    """What long work is at: one changing line at a terminal, a line now and then otherwise."""

    EVERY_SECONDS = 2.0

    def __init__(self, *, quiet: bool) -> None:
        self._console = _console(errors=True)
        self._status = self._console.status("Starting")
        self._quiet = quiet
        self._told_at = time.monotonic()

    def __enter__(self) -> _Ticker:
        if not self._quiet and self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def tell(self, line: str) -> None:
        """Say what was just done."""
        if self._quiet:
            return
        if self._console.is_terminal:
            self._status.update(escape(line))
        elif time.monotonic() - self._told_at >= self.EVERY_SECONDS:
            self._told_at = time.monotonic()
            self._console.print(line, style="dim", markup=False)


class _Bar:
    """Progress of long work: a bar for a person at a terminal, nothing otherwise."""

    def __init__(self, what: str, *, of_bytes: bool = False, quiet: bool = False) -> None:
        from rich import progress

        amounts = (
            (progress.DownloadColumn(), progress.TransferSpeedColumn())
            if of_bytes
            else (progress.MofNCompleteColumn(),)
        )
        console = _console(errors=True)
        self._shown = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            *amounts,
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._shown.add_task(what, total=None)

    def __enter__(self) -> _Bar:
        self._shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.stop()

    def advance_to(self, done: int, total: int) -> None:
        """Show how much is done."""
        self._shown.update(self._task, completed=done, total=total)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._shown.console.print(line, markup=False, highlight=False)


def _console(*, errors: bool = False) -> Console:
    """A console that writes plain lines, cut nowhere, unless a person looks at a terminal."""
    console = Console(stderr=errors, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def _say(line: str) -> None:
    _console().print(line, markup=False)


def _complain(message: str) -> None:
    _console(errors=True).print(message, style="red", markup=False)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rich.table import Table

    table = Table(*columns, title=title or None, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    _console().print(table)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, default=str, indent=2))


if __name__ == "__main__":
    main()
