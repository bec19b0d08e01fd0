"""The embedded server: whatever happened to it, `start` mends it or says what is the matter."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from orchestration.settings import Settings
from orchestration.warehouse import postgres, processes, storage
from orchestration.warehouse.database import engine, engine_for, migrate
from orchestration.warehouse.errors import DatabaseUnavailable, ServerError, StorageError
from orchestration.warehouse.postgres import ADMINISTRATOR, OWNER, EmbeddedServer
from orchestration.warehouse.processes import await_command, command_of
from orchestration.warehouse.roles import ROLES, SENDER, SERVICE_LOGINS


@pytest.fixture
def embedded(journey_home: Path) -> EmbeddedServer:
    return EmbeddedServer(Settings(home=journey_home, database_url=None))


def connect(embedded: EmbeddedServer, role: str = OWNER) -> psycopg.Connection[tuple[object, ...]]:
    address = embedded.url(role).set(drivername="postgresql")
    return psycopg.connect(address.render_as_string(hide_password=False))


def keep_a_row(embedded: EmbeddedServer) -> None:
    with connect(embedded) as connection:
        connection.execute("create table kept as select 'still here' as word")


def kept_row(embedded: EmbeddedServer) -> object:
    with connect(embedded) as connection:
        row = connection.execute("select word from kept").fetchone()
        return row[0] if row else None


def kill(embedded: EmbeddedServer) -> int:
    pid = embedded.state().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def test_start_twice_stop_twice(embedded: EmbeddedServer) -> None:
    """Prevents: a second `up` that starts a second server on the same files, or fails."""
    assert embedded.state().status == "absent"
    first = embedded.start()
    assert first.created
    assert not first.already_running
    pid = embedded.state().pid
    keep_a_row(embedded)

    second = embedded.start()
    assert second.already_running
    assert second.notes == []
    assert (second.port, embedded.state().pid) == (first.port, pid)

    assert embedded.stop()
    assert embedded.state().status == "stopped"
    assert not embedded.stop()
    assert embedded.start().port == first.port
    assert kept_row(embedded) == "still here"


def test_it_listens_on_loopback_only_and_asks_for_the_password(
    embedded: EmbeddedServer, journey_home: Path
) -> None:
    """Prevents: everybody on the network, or on the machine, reads the customers."""
    embedded.start()
    with connect(embedded, ADMINISTRATOR) as connection:
        settings = dict(
            connection.execute(
                "select name, setting from pg_settings where name in "
                "('listen_addresses', 'unix_socket_directories', 'jit', 'TimeZone', 'fsync')"
            ).fetchall()
        )
        assert settings == {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "jit": "off",
            "TimeZone": "UTC",
            "fsync": "on",
        }
    assert (journey_home / "credentials").stat().st_mode & 0o777 == 0o600
    for role in (ADMINISTRATOR, OWNER):
        address = embedded.url(role).set(drivername="postgresql", password="guess")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(address.render_as_string(hide_password=False))


def test_a_killed_server_comes_back_with_everything_committed(embedded: EmbeddedServer) -> None:
    """Prevents: lost rows, or an `up` that a stale pid file or a leftover process stops."""
    embedded.start()
    keep_a_row(embedded)
    with closing(connect(embedded)) as busy:
        busy.execute("select 1")
        killed = kill(embedded)
        report = embedded.start()
    assert not report.already_running
    assert embedded.state().pid != killed
    assert kept_row(embedded) == "still here"


def test_a_pid_file_that_names_another_program_is_removed(embedded: EmbeddedServer) -> None:
    """Prevents: after a restart of the machine `up` believes that a stranger is the server."""
    embedded.start()
    keep_a_row(embedded)
    pid_file = embedded.data / "postmaster.pid"
    words = pid_file.read_text()
    embedded.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *words.splitlines()[1:]]) + "\n")

    assert embedded.state().status == "stopped"
    report = embedded.start()
    assert any("another program" in note for note in report.notes)
    assert kept_row(embedded) == "still here"


def test_a_taken_port_is_left_to_its_taker(embedded: EmbeddedServer) -> None:
    """Prevents: `up` fails, or talks to a stranger's server, when another program has the port."""
    port = embedded.start().port
    embedded.stop()
    with socket.create_server(("127.0.0.1", port)):
        report = embedded.start()
        assert report.port != port
        assert any(f"Port {port} is taken" in note for note in report.notes)
    embedded.stop()
    assert embedded.start().port == report.port


def test_two_processes_start_it_at_once(embedded: EmbeddedServer, journey_home: Path) -> None:
    """Prevents: two `up` that make the same files, and a database that is half of each."""
    program = (
        "from orchestration.settings import get_settings;"
        "from orchestration.warehouse.postgres import EmbeddedServer;"
        "import json; report = EmbeddedServer(get_settings()).start();"
        "print(json.dumps([report.created, report.already_running, report.port]))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    reports = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert sorted(report[0] for report in reports) == [False, False, True]
    assert sorted(report[1] for report in reports) == [False, True, True]
    assert {report[2] for report in reports} == {embedded.state().port}
    keep_a_row(embedded)


@pytest.mark.parametrize("damage", ["removed", "changed", "garbled"])
def test_lost_credentials_are_made_anew(embedded: EmbeddedServer, damage: str) -> None:
    """Prevents: a database whose password nobody knows any more, with all that it holds."""
    embedded.start()
    keep_a_row(embedded)
    embedded.stop()
    if damage == "removed":
        embedded.credentials_file.unlink()
    elif damage == "garbled":
        embedded.credentials_file.write_text("{")
    else:
        wrong = dict.fromkeys(embedded.credentials(), "wrong")
        embedded.credentials_file.write_text(json.dumps(wrong))

    report = embedded.start()
    assert any("set anew" in note for note in report.notes)
    assert kept_row(embedded) == "still here"


def test_a_making_that_was_interrupted_is_begun_again(
    embedded: EmbeddedServer, journey_home: Path
) -> None:
    """Prevents: Ctrl-C during the very first `up` leaves a home that never works."""
    (journey_home / "postgres.new" / "base").mkdir(parents=True)
    assert embedded.start().created
    assert not (journey_home / "postgres.new").exists()
    assert not (journey_home / "password.new").exists()


def test_a_server_that_cannot_start_is_quoted(embedded: EmbeddedServer) -> None:
    """Prevents: a bare `could not start server`, with the reason hidden in a log."""
    embedded.start()
    embedded.stop()
    with (embedded.data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(ServerError, match="no_such_setting"):
        embedded.start()


def test_a_database_that_is_down_is_explained(embedded: EmbeddedServer, journey_home: Path) -> None:
    """Prevents: a stack trace for whoever forgot `journey up`."""
    settings = Settings(home=journey_home, database_url=None)
    with pytest.raises(DatabaseUnavailable, match=r"no database in .* journey up"):
        engine(settings)
    embedded.start()
    embedded.stop()
    with pytest.raises(DatabaseUnavailable, match=r"refused\. Start it with: journey up"):
        engine(settings).connect()


def test_a_full_disk_is_named(embedded: EmbeddedServer, journey_home: Path) -> None:
    """Prevents: half a credentials file on a full disk, and a message about something else."""
    journey_home.mkdir()
    (journey_home / "credentials.new").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=f"disk of {journey_home} is full"):
        embedded.start()
    (journey_home / "credentials.new").unlink()
    assert embedded.start().created


def test_a_nearly_full_disk_is_refused_before_anything_is_made(
    embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a database that dies while it is made, and is found broken the next day."""
    monkeypatch.setattr(postgres, "MINIMUM_FREE_BYTES", 2**62)
    with pytest.raises(StorageError, match="MB left"):
        embedded.start()
    assert embedded.state().status == "absent"


def test_a_server_that_meets_a_full_disk_is_explained(embedded: EmbeddedServer) -> None:
    """Prevents: a page of PostgreSQL's log where one sentence would do."""
    words = 'PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device'
    message = str(embedded._failure("does not start", words))
    assert f"the disk of {embedded.data} is full" in message
    assert "nothing that was committed is lost" in message


def test_a_home_below_a_file_is_named(enterable_folder: object, tmp_path: Path) -> None:
    """Prevents: a stack trace for a JOURNEY_HOME that cannot be."""
    file = tmp_path / "file"
    file.touch()
    home = file / "home"
    with pytest.raises(StorageError, match=f"{home} is not a folder, or lies below a file"):
        EmbeddedServer(Settings(home=home, database_url=None)).start()


@pytest.mark.parametrize(
    ("number", "words"),
    [(30, "is read-only"), (13, "may not be written by this user"), (28, "is full")],
)
def test_each_refusal_of_the_disk_has_its_own_words(number: int, words: str) -> None:
    """Prevents: `Errno 30` without the folder and the way out."""
    with (
        pytest.raises(StorageError, match=words) as caught,
        storage.writing_to(Path("/data/journey")),
    ):
        raise OSError(number, os.strerror(number))
    assert "/data/journey" in str(caught.value)


def test_files_that_are_no_database_are_left_alone(
    embedded: EmbeddedServer, journey_home: Path
) -> None:
    """Prevents: somebody's folder overwritten, because it is called postgres."""
    embedded.data.mkdir(parents=True)
    (embedded.data / "notes.txt").write_text("mine")
    with pytest.raises(ServerError, match="is not a PostgreSQL database"):
        embedded.start()
    assert (embedded.data / "notes.txt").read_text() == "mine"


def test_a_lock_that_is_never_released_ends_in_a_message(tmp_path: Path) -> None:
    """Prevents: `up` that waits for ever behind a command that hangs."""
    lock = tmp_path / "lock"
    with (
        storage.locked(lock, "the server"),
        pytest.raises(ServerError, match="busy with the server"),
        storage.locked(lock, "the server", timeout=0.1),
    ):
        pass


def test_a_dead_process_has_no_command() -> None:
    """Prevents: waiting for a process that ended, but was not collected yet."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert command_of(ended.pid) == ""
    assert command_of(os.getpid())
    ended.wait()


def test_a_process_without_a_command_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: `up` that calls a program dead which the system is only just loading."""
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    answers = iter(["", "", "python"])
    monkeypatch.setattr(processes, "command_of", lambda _: next(answers))
    await_command(started)
    assert next(answers, None) is None
    started.communicate(b"\n")

    monkeypatch.setattr(processes, "command_of", lambda _: "")
    await_command(started)


def test_a_home_of_before_the_roles_gets_them(embedded: EmbeddedServer) -> None:
    """Prevents: a warehouse that was there already and whose dashboard finds no way in."""
    embedded.start()
    known = embedded.credentials()
    with connect(embedded, ADMINISTRATOR) as connection:
        for role in ROLES:
            connection.execute(f"drop owned by {role}")
            connection.execute(f"drop role {role}")
        connection.execute(f"alter role {OWNER} nocreaterole")
        connection.execute("grant execute on function pg_advisory_lock(bigint) to public")
    old = {role: known[role] for role in (ADMINISTRATOR, OWNER)}
    embedded.credentials_file.write_text(json.dumps(old))

    assert embedded.start().notes == []
    assert embedded.credentials().items() >= old.items()
    owner = engine_for(embedded.url())
    migrate(owner, embedded.credentials())
    owner.dispose()
    for role in SERVICE_LOGINS:
        with connect(embedded, role) as connection:
            lock = "select has_function_privilege('pg_advisory_lock(bigint)', 'execute')"
            assert connection.execute(lock).fetchone() == (role == SENDER,)
