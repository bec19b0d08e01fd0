"""The command line: what scripts and people rely on."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.cli import app, main
from orchestration.settings import SEEDS_DIR, Settings, get_settings
from orchestration.warehouse.postgres import EmbeddedServer

COMMANDS = sorted(
    command.name or command.callback.__name__  # type: ignore[union-attr]
    for command in app.registered_commands
)

PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


def journey(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as people do, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process: exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def facts(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, output, errors = run(capsys, *arguments, "--json")
    assert code == 0, errors
    return json.loads(output)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Prevents: a command that nobody can find out how to use."""
    code, output, _ = run(capsys, command, "--help")
    assert code == 0
    assert f"journey {command}" in output


def test_dbt_finds_the_database_by_what_url_prints(
    capsys: pytest.CaptureFixture[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: dbt by hand in another database than the build's, and a password cut in two by the
    shell."""
    odd = re.sub(r":\w+@", ":it's%20$a%20%22secret%22@", str(os.environ["JOURNEY_DATABASE_URL"]))
    monkeypatch.setenv("JOURNEY_DATABASE_URL", odd)
    code, output, errors = run(capsys, "url", "--dbt")
    assert code == 0, errors
    shell = f"{output}\n{shlex.quote(sys.executable)} -c {shlex.quote(PRINT_ENVIRONMENT)}"
    told = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    wanted = get_settings().dbt_environment()
    assert wanted["JOURNEY_PG_PASSWORD"] == 'it\'s $a "secret"'
    assert {name: json.loads(told)[name] for name in wanted} == wanted
    assert run(capsys, "url", "--dbt", "--role", "journey_staff")[0] == 2


def test_help_loads_nothing_heavy() -> None:
    """Prevents: a `--help` that takes seconds, because it loads dbt or Dagster."""
    program = (
        "import sys, orchestration.cli;"
        "print([name for name in ('dagster', 'dbt', 'pandas', 'pyarrow', 'sqlalchemy', 'alembic',"
        " 'great_expectations', 'psycopg', 'pydantic') if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("up", "--wrong"), ("build", "--as-of", "yesterday"), ()]
)
def test_wrong_usage_exits_with_two(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Prevents: a script that takes a slip of the pen for a failed build."""
    assert run(capsys, *arguments)[0] == 2


def test_the_embedded_server_from_up_to_down(
    journey_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: the commands of the first page of the README that do not do what they say."""
    assert facts(capsys, "status")["database"]["status"] == "stopped"
    code, _, errors = run(capsys, "url")
    assert (code, "journey up" in errors) == (1, True)

    code, output, errors = run(capsys, "up", "--database-only")
    assert code == 0, errors
    assert "started at 127.0.0.1:" in output
    assert "is running at" in run(capsys, "up", "--database-only")[1]
    assert (journey_home / "landing").is_dir()

    found = facts(capsys, "status")
    assert found["database"]["status"] == "running"
    assert found["database"]["migrated"] is True
    assert found["last_build"] is None
    assert found["last_loads"] == []

    _, address, _ = run(capsys, "url")
    assert re.fullmatch(r"postgresql://journey_owner:\w+@127\.0\.0\.1:\d+/journey\n", address)
    assert run(capsys, "url", "--role", "stranger")[0] == 2
    shell = journey("psql", "-Atc", "select current_user")
    assert shell.stdout.strip() == "journey_owner", shell.stderr

    assert facts(capsys, "down")["stopped"] == ["postgresql"]
    assert "Nothing was running" in run(capsys, "down")[1]
    code, _, errors = run(capsys, "psql")
    assert (code, "journey up" in errors) == (1, True)


def test_an_external_server_is_migrated_and_left_running(
    empty_database: str,
    journey_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents: a second server beside the one that was asked for, or a stopped foreign one."""
    monkeypatch.setenv("JOURNEY_DATABASE_URL", empty_database)
    assert facts(capsys, "status")["database"]["migrated"] is False
    assert "is running at" in run(capsys, "up", "--database-only")[1]
    assert EmbeddedServer(Settings(home=journey_home)).state().status == "absent"
    assert facts(capsys, "down")["stopped"] == []
    found = facts(capsys, "status")["database"]
    assert (found["kind"], found["status"], found["migrated"]) == ("external", "running", True)
    assert run(capsys, "url")[1].strip() == empty_database
    assert journey("psql", "-Atc", "select 1").stdout.strip() == "1"


def test_wrong_credentials_are_one_sentence(
    database_url: str,
    journey_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents: a stack trace for a mistyped password."""
    wrong = re.sub(r":\w+@", ":mistyped@", database_url)
    monkeypatch.setenv("JOURNEY_DATABASE_URL", wrong)
    code, output, errors = run(capsys, "up", "--database-only")
    assert (code, output) == (1, "")
    assert "Check user and password in JOURNEY_DATABASE_URL." in errors
    assert "mistyped" not in errors
    assert "refuses the password" in facts(capsys, "status")["database"]["problem"]


def test_a_home_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    """Prevents: a stack trace for a JOURNEY_HOME below a file, and colour codes in a log."""
    file = tmp_path / "file"
    file.touch()
    ended = journey("up", JOURNEY_HOME=str(file / "home"), JOURNEY_DATABASE_URL="", NO_COLOR="1")
    assert ended.returncode == 1
    assert ended.stderr.startswith(str(file / "home"))
    assert "Traceback" not in ended.stderr
    assert "\x1b" not in ended.stderr


def test_doctor_names_what_is_wrong_and_the_way_out(
    journey_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents: a check that is content with a database that does not run, or a seed that no build
    can use."""
    seeds = Path(shutil.copytree(SEEDS_DIR, tmp_path / "seeds"))
    with (seeds / "collections.csv").open("a") as file:
        file.write("aurora,calm,first\n")
    monkeypatch.setattr("orchestration.doctor.SEEDS_DIR", seeds)
    code, output, _ = run(capsys, "doctor", "--json")
    assert code == 1
    found = {check["name"]: check for check in json.loads(output)}
    assert not found["database"]["ok"]
    assert "journey up" in found["database"]["found"]
    line = "seeds/collections.csv line 5: collection_order: 'first' is not a whole number"
    assert line in found["seeds"]["found"]
    assert {name for name, check in found.items() if not check["ok"]} == {"database", "seeds"}


def test_loading_from_the_command_line(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: a refused file that a nightly script does not notice."""
    assert run(capsys, "load")[0] == 0
    stranger = Path(settings.landing) / "stranger" / "leads"
    stranger.mkdir(parents=True)
    (stranger / "leads.csv").write_text("email\n")
    code, _, errors = run(capsys, "load")
    assert code == 1
    assert "stranger" in errors


@pytest.mark.parametrize("arguments", [("dashboard",), ("dashboard", "token")])
def test_every_command_of_the_dashboard_has_help(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Prevents: a command that nobody can find out how to use."""
    code, output, _ = run(capsys, *arguments, "--help")
    assert code == 0
    assert f"journey {' '.join(arguments)}" in output


def test_the_addresses_of_the_dashboard_stay_until_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: a bookmark that dies with every start, or a token that cannot be taken back."""
    monkeypatch.setenv("JOURNEY_HOME", str(tmp_path / "home"))
    everything = facts(capsys, "dashboard", "token")["url"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/login\?token=[\w-]{43}", everything)
    aurora = facts(capsys, "dashboard", "token", "--tenant", "aurora")
    assert aurora["tenant"] == "aurora"
    assert aurora["url"] != everything
    renewed = facts(capsys, "dashboard", "token", "--tenant", "aurora", "--renew")["url"]
    assert renewed != aurora["url"]
    assert facts(capsys, "dashboard", "token", "--tenant", "aurora")["url"] == renewed
    assert facts(capsys, "dashboard", "token")["url"] == everything
    code, _, errors = run(capsys, "dashboard", "token", "--tenant", "nobody")
    assert (code, "There is no tenant nobody" in errors) == (1, True)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"marts.customers": 1, "raw.erasure_requests": 1}, "Forgotten. Receipt r-1:"),
        ({"raw.erasure_requests": 1}, "Nobody of aurora is known by that address"),
    ],
    ids=["somebody", "nobody"],
)
def test_an_erasure_says_whether_it_found_anybody(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: dict[str, int],
    words: str,
) -> None:
    """Prevents: a receipt that is filed as done because an address was written wrong."""
    receipt = {"request_id": "asked", "erasure_id": "r-1", "reason": None, "rows": rows}
    report = SimpleNamespace(succeeded=True, errors=[], erasures=[receipt])
    monkeypatch.setattr("orchestration.build.build", lambda *_, **__: report)
    monkeypatch.setattr("orchestration.privacy.erasure.request_erasure", lambda *_, **__: "asked")
    arguments = ("erase", "--tenant", "aurora", "--email", "ada@example.com")
    code, output, errors = run(capsys, *arguments)
    assert code == 0
    assert words in output + errors
    assert ("Forgotten" in output) == ("Forgotten" in words)
