"""The command `journey`: it calls the functions that do the work, and shows what they report.

Everything heavy is imported inside the commands, so that `--help` is instant.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from orchestration.warehouse.errors import DatabaseUnavailable, JourneyError

if TYPE_CHECKING:
    import sqlalchemy

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

dashboard_app = typer.Typer()
app.add_typer(dashboard_app, name="dashboard")
tenants_app = typer.Typer(help="Tenants, and the logins that read their rows.")
app.add_typer(tenants_app, name="tenant", no_args_is_help=True)

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
        bool, typer.Option("--database-only", help="Start nothing but the database.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start the database, the Dagster UI with its schedules, and the dashboard.

    The tables that are kept between builds are brought up to date.
    """
    from orchestration import services
    from orchestration.warehouse.database import (
        check_version,
        engine,
        known_passwords,
        migrate,
    )
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
    migrate(database, known_passwords(settings))
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
    running = {state.name: state.url for state in services.states(settings)}
    if ui := running[services.WEBSERVER.name]:
        _say(f"Dagster UI: {ui}. Its schedules and the landing sensor stay off until")
        _say(f"you switch them on at {ui}/automation")
    if running[services.DASHBOARD.name]:
        _say(f"Dashboard: {_login_url(settings)}")
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
    if facts["lost"]:
        _complain(f"{facts['lost']}. The next build derives everything anew: journey build")
    for one in facts["stopped"]:
        _say(
            f"Sending is stopped: tenant {one['tenant_id']}, destination {one['destination']}, "
            f"since {_instant(one['stopped_at'])}: {one['reason']}"
        )
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
    dbt: Annotated[
        bool,
        typer.Option("--dbt", help='The owner\'s, for dbt and mf: eval "$(journey url --dbt)"'),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print where to connect, with the password, ready to paste."""
    settings = _settings()
    if dbt:
        if role or as_json:
            raise typer.BadParameter("--dbt stands by itself: dbt builds as the owner")
        for name, value in settings.dbt_environment().items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        return
    address = _address(settings, role)
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
    live: Annotated[
        bool, typer.Option("--live", help="Send to the destinations; needs --tenant.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write what the last build decided to send, as files; with --live, send it.

    Without --live nothing leaves this machine. The delivery shows in the Dagster UI as a run of the
    outputs. Exit code 1 when a live delivery stopped before its end.
    """
    if live:
        _deliver_live(tenant, as_json)
        return
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


def _deliver_live(tenant: str | None, as_json: bool) -> None:
    if tenant is None:
        raise typer.BadParameter("name the tenant whose people get them", param_hint="--live")
    from orchestration.defs.run import run_live_outputs

    report = run_live_outputs(_settings(), tenant)
    if as_json:
        _print_json(report.to_dict())
    else:
        _table(
            "",
            ("destination", "purpose", "sent", "skipped", "waiting", "failed", "not due", "left"),
            [
                (
                    one.destination,
                    one.purpose,
                    one.sent,
                    _with_reasons(one.skipped),
                    _with_reasons(one.waiting),
                    one.rejected + one.unknown,
                    one.not_due,
                    one.left,
                )
                for one in report.purposes.values()
            ],
        )
        _say(
            f"{report.total('sent'):,} messages of {tenant} sent as of {_instant(report.as_of)}; "
            f"{report.held_out:,} people held out"
        )
        for note in report.notes:
            _complain(note)
    if not report.is_complete:
        raise typer.Exit(1)


def _with_reasons(counts: Counter[str]) -> str:
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"{counts.total()} ({told})" if counts else "0"


sending = typer.Typer(
    help="Stop and start what live deliveries send, and try again what was refused.",
    no_args_is_help=True,
)
app.add_typer(sending, name="sending")
AllTenants = Annotated[str, typer.Option("--tenant", help="Whose messages; * for everybody's.")]
AllDestinations = Annotated[
    str, typer.Option("--destination", help="To which destination; * for all.")
]


@sending.command("stop")
def stop_sending(
    tenant: AllTenants = "*",
    destination: AllDestinations = "*",
    reason: Annotated[str, typer.Option(help="Why, for whoever sees it.")] = "by hand",
) -> None:
    """Send nothing more from now on, also in deliveries that run, until `sending start`."""
    from orchestration.activation import switches

    _check_switch(tenant, destination)
    with _database_transaction() as connection:
        switches.stop(connection, tenant, destination, reason)
    _say(f"Stopped: tenant {tenant}, destination {destination}")


@sending.command("start")
def start_sending(tenant: AllTenants = "*", destination: AllDestinations = "*") -> None:
    """Take away what `sending stop` with the same options did."""
    from orchestration.activation import switches

    _check_switch(tenant, destination)
    with _database_transaction() as connection:
        was_stopped = switches.start(connection, tenant, destination)
        still = switches.stopped(connection)
    if not was_stopped:
        _say(f"Nothing was stopped for tenant {tenant}, destination {destination}")
    for one in still:
        _say(f"Still stopped: tenant {one.tenant_id}, destination {one.destination}: {one.reason}")
    if was_stopped and not still:
        _say("Nothing is stopped any more")


@sending.command("replay")
def replay_sending(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose messages.")],
    destination: Annotated[
        str | None, typer.Option("--destination", help="Only those for this destination.")
    ] = None,
) -> None:
    """Let the next live delivery try again what a destination refused."""
    from orchestration.activation.deliver import require_tenant
    from orchestration.activation.outbox import replay_rejected

    require_tenant(tenant)
    with _database_transaction() as connection:
        count = replay_rejected(connection, tenant, destination, datetime.now(UTC))
    _say(f"{count:,} messages will be tried again by: journey deliver --live --tenant {tenant}")


def _check_switch(tenant: str, destination: str) -> None:
    from orchestration.activation.deliver import require_tenant
    from orchestration.activation.destinations import DESTINATIONS, files

    if tenant != "*":
        require_tenant(tenant)
    known = sorted([*DESTINATIONS, files.NAME])
    if destination not in ("*", *known):
        raise typer.BadParameter(
            f"there is no destination {destination}; known: {', '.join(known)}",
            param_hint="--destination",
        )


@contextmanager
def _database_transaction() -> Iterator[Any]:
    from orchestration.warehouse.database import engine

    database = engine(_settings())
    try:
        with database.begin() as connection:
            yield connection
    finally:
        database.dispose()


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
def erase(
    tenant: Annotated[str, typer.Option(help="Whose customer it is.")],
    email: Annotated[str | None, typer.Option(help="The person's e-mail.")] = None,
    phone: Annotated[
        str | None, typer.Option(help="The person's phone, like +491701234567.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Forget a person: request it, carry it out, and build, so that no table shows them.

    Amounts stay under a pseudonym. Requests among the landing files need no command: every build
    carries them out. Exit code 1 when the request was refused or the build failed.
    """
    from orchestration.activation.deliver import require_tenant
    from orchestration.build import build as run_build
    from orchestration.privacy.erasure import request_erasure
    from orchestration.warehouse.database import engine, migrate

    settings = _settings()
    require_tenant(tenant)
    database = engine(settings)
    try:
        migrate(database)
        request_id = request_erasure(database, tenant, email=email, phone=phone)
    finally:
        database.dispose()
    with _Ticker(quiet=as_json) as ticker:
        # the first finds out who the person is, the second forgets them
        report = run_build(settings, progress=ticker.tell)
        if report.succeeded:
            report = run_build(settings, progress=ticker.tell)
    receipt = next((one for one in report.erasures if one["request_id"] == request_id), None)
    if as_json:
        _print_json({"receipt": receipt, "build": report.to_dict()})
    else:
        for line in report.errors:
            _complain(line)
        if receipt is None:
            _complain(
                f"Request {request_id} is recorded; the build after the next that succeeds does it."
            )
        elif receipt["reason"]:
            _complain(f"Request {request_id} was refused: {receipt['reason']}")
        else:
            if receipt["rows"].keys() <= {"raw.erasure_requests"}:
                _complain(
                    f"Nobody of {tenant} is known by that address; was it written right? The "
                    "request is kept, and holds for files that come later."
                )
                _say(f"Receipt {receipt['erasure_id']}:")
            else:
                _say(f"Forgotten. Receipt {receipt['erasure_id']}:")
            for table, rows in receipt["rows"].items():
                _say(f"  {table}: {rows:,} rows")
            if not report.succeeded:
                _complain("The marts show the person until a build succeeds.")
    if receipt is None or receipt["reason"] or not report.succeeded:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes.")], as_json: AsJson = False
) -> None:
    """Copy what no build can make again: raw rows, decisions, receipts, rights, what was sent."""
    from orchestration.warehouse.backup import backup as make_backup

    report = make_backup(_settings(), file)
    if as_json:
        _print_json({"file": str(report.file), "bytes": report.bytes})
        return
    _say(f"{report.file}: {report.bytes:,} bytes. It holds customers' data: keep it as safe.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A copy that journey backup made.")],
    as_json: AsJson = False,
) -> None:
    """Make an empty warehouse from a backup; the next build derives the marts."""
    from orchestration.warehouse.backup import restore as restore_backup

    report = restore_backup(_settings(), file)
    if as_json:
        _print_json({"loads": report.loads, "missing_logins": list(report.missing_logins)})
        return
    _say(f"{report.loads:,} loads are back. Derive the marts with: journey build")
    for login in report.missing_logins:
        _say(
            f"{login} is unknown to this server: remove it with journey tenant remove-reader "
            f"{login}, then add it again"
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
    ui = services.address(services.WEBSERVER, settings)
    _say(f"\nNext: {sys.argv[0]} up opens {ui}, with every asset, and the dashboard")


@dashboard_app.callback(invoke_without_command=True)
def dashboard(context: typer.Context) -> None:
    """Serve the dashboard until interrupted, unless `journey up` does so already."""
    if context.invoked_subcommand is not None:
        return
    from orchestration import services
    from orchestration.dashboard.server import serve

    settings = _settings()
    if services.DASHBOARD.running_pid(settings) is not None:
        _say(f"Dashboard: {_login_url(settings)}")
        return
    for note in services.settle_port(services.DASHBOARD, settings):
        _say(note)
    _say(f"Dashboard: {_login_url(settings)}")
    _say("It is served until you press Ctrl-C.")
    serve(settings, int(services.address(services.DASHBOARD, settings).rpartition(":")[2]))


@dashboard_app.command("token")
def dashboard_token(
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="A login that sees this tenant only.")
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Make a new one; who used the old is logged out.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the address that logs in to the dashboard; whoever has it can look."""
    from orchestration.people import known_tenants

    settings = _settings()
    if tenant is not None:
        known_tenants(tenant)
    address = _login_url(settings, tenant, renew=renew)
    if as_json:
        _print_json({"url": address, "tenant": tenant})
    else:
        typer.echo(address)


def _login_url(settings: Settings, tenant: str | None = None, *, renew: bool = False) -> str:
    from orchestration import services
    from orchestration.dashboard.access import OPERATOR, token_for

    token = token_for(settings, tenant or OPERATOR, renew=renew)
    return f"{services.address(services.DASHBOARD, settings)}/login?token={token}"


@tenants_app.command("list")
def tenant_list(as_json: AsJson = False) -> None:
    """Show every tenant, and the logins that read its rows."""
    from orchestration import tenants
    from orchestration.settings import SEEDS_DIR

    with _migrated(_settings()) as database:
        found = tenants.list_tenants(database, SEEDS_DIR / "tenants.csv")
    if as_json:
        _print_json([tenant.to_dict() for tenant in found])
        return
    _table(
        "",
        ("tenant", "name", "time zone", "currency", "region", "readers"),
        [
            (
                tenant.tenant_id,
                tenant.name,
                tenant.time_zone,
                tenant.currency,
                tenant.phone_region,
                ", ".join(tenant.readers) or "none",
            )
            for tenant in found
        ],
    )


@tenants_app.command("add")
def tenant_add(
    tenant_id: Annotated[str, typer.Argument(help="Its id: a folder name in small letters.")],
    name: Annotated[str, typer.Option(help="The business's name.")],
    time_zone: Annotated[str, typer.Option(help="IANA time zone, like Europe/Berlin.")],
    currency: Annotated[str, typer.Option(help="ISO 4217 currency of its reports, like EUR.")],
    phone_region: Annotated[str, typer.Option(help="Where its phones are, like DE.")],
    as_json: AsJson = False,
) -> None:
    """Add a tenant to seeds/tenants.csv, where a build finds it."""
    from orchestration import tenants
    from orchestration.ingest.tenants import Tenant
    from orchestration.settings import SEEDS_DIR

    settings = _settings()
    seed = SEEDS_DIR / "tenants.csv"
    tenants.add_tenant(seed, Tenant(tenant_id, name, time_zone, currency, phone_region))
    if as_json:
        _print_json({"tenant_id": tenant_id, "seed": str(seed)})
        return
    _say(f"{seed} lists {tenant_id} now. Commit that file, put the files of {tenant_id} below")
    _say(f"{settings.landing}/{tenant_id}, and run: journey build")


@tenants_app.command("add-reader")
def tenant_add_reader(
    login: Annotated[str, typer.Argument(help="The name of the new login.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose rows it sees.")],
    as_json: AsJson = False,
) -> None:
    """Make a login that reads the marts of one tenant. Its password is shown once."""
    from orchestration import tenants
    from orchestration.settings import SEEDS_DIR

    with _migrated(_settings()) as database:
        password = tenants.add_reader(database, SEEDS_DIR / "tenants.csv", login, tenant)
        address = _pasteable(database.url.set(username=login, password=password))
    if as_json:
        _print_json({"login": login, "tenant_id": tenant, "password": password, "url": address})
        return
    _say(f"{login} reads the rows of {tenant} in the schema marts. Its password is kept nowhere:")
    typer.echo(address)


@tenants_app.command("remove-reader")
def tenant_remove_reader(
    login: Annotated[str, typer.Argument(help="The login.")], as_json: AsJson = False
) -> None:
    """End the connections of a tenant's login, and drop it."""
    from orchestration import tenants

    with _migrated(_settings()) as database:
        tenant_id = tenants.remove_reader(database, login)
    if as_json:
        _print_json({"login": login, "tenant_id": tenant_id})
    else:
        _say(f"{login} is gone, and with it its connections; it read the rows of {tenant_id}")


@contextmanager
def _migrated(settings: Settings) -> Iterator[sqlalchemy.Engine]:
    """An engine of the role that builds; roles and our own tables are there."""
    from orchestration.warehouse.database import engine, known_passwords, migrate

    database = engine(settings)
    try:
        migrate(database, known_passwords(settings))
        yield database
    finally:
        database.dispose()


def _settings() -> Settings:
    from orchestration.settings import get_settings

    return get_settings()


def _address(settings: Settings, role: str | None) -> Any:
    from orchestration.warehouse.database import database_url

    if role and settings.uses_embedded_database:
        from orchestration.warehouse.postgres import EmbeddedServer

        known = EmbeddedServer(settings).credentials()
        if known and role not in known:
            raise typer.BadParameter(
                f"there is no role {role}; known: {', '.join(sorted(known))}", param_hint="--role"
            )
    return database_url(settings, role)


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
        "lost": None,
        "stopped": [],
        "late": [],
    }
    if facts["database"]["status"] == "running" and facts["database"]["migrated"]:
        facts["last_build"] = _last_build(settings)
        facts["lost"] = _lost(settings)
        facts["late"] = _late(settings)
        facts["last_loads"] = _rows(
            settings,
            "select load_id, file, status, error, rows_read, rows_loaded, rows_unchanged, "
            "rows_rejected, finished_at from ops.loads order by load_id desc limit 5",
        )
        facts["stopped"] = _rows(
            settings,
            "select tenant_id, destination, reason, stopped_at from outbox.switches "
            "order by tenant_id, destination",
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


def _lost(settings: Settings) -> str | None:
    """The rows that somebody took away since the last build that derived them, in words."""
    from orchestration.warehouse.builds import latest_loss
    from orchestration.warehouse.database import engine

    database = engine(settings)
    try:
        with database.connect() as connection:
            loss = latest_loss(connection)
    finally:
        database.dispose()
    return loss.explain() if loss else None


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
