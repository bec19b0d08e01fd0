"""Small questions about processes, most of them not our children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

POLL_SECONDS = 0.05


def command_of(pid: int) -> str:
    """The command line of a process; empty when it is gone, or dead and not yet collected."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            return ""
    answer = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return answer.stdout.strip()


def await_command(process: subprocess.Popen[bytes]) -> None:
    """Wait until a program just started shows its command line, or has ended.

    For an instant the system shows none, and the program would pass for one that is gone.
    """
    while process.poll() is None and not command_of(process.pid):
        time.sleep(POLL_SECONDS)


def is_listed(pid: int) -> bool:
    """Whether the number is taken, be it by a process that is dead and not yet collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def folder_of(pid: int) -> Path | None:
    """The working folder of a process, where the system tells (Linux)."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def end_group(pid: int, patience_seconds: float) -> None:
    """Ask the process and its children to end; make them, when they do not in time."""
    for signal_number, patience in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(pid, signal_number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not command_of(pid):
                return
            time.sleep(POLL_SECONDS)
