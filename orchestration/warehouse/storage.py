"""Writing below JOURNEY_HOME: whole files or none, and errors that name the folder."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.warehouse.errors import ServerError, StorageError

LOCK_TIMEOUT_SECONDS = 330
LOCK_POLL_SECONDS = 0.05


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into a StorageError that names the folder."""
    try:
        yield
    except OSError as error:
        raise StorageError(explain_refusal(folder, error)) from error


def explain_refusal(folder: Path, error: OSError) -> str:
    """What is the matter with the folder, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {folder} is full. Free some space there, or set JOURNEY_HOME."
    if error.errno == errno.EROFS:
        return f"The disk of {folder} is read-only. Set JOURNEY_HOME to a folder on another one."
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"The folder {folder} may not be written by this user. "
            "Change its owner, or set JOURNEY_HOME to another folder."
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{folder} is not a folder, or lies below a file. Set JOURNEY_HOME to a folder."
    return (
        f"The folder {folder} cannot be written: {error.strerror or error}. "
        "Mend that, or set JOURNEY_HOME to another folder."
    )


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make the folder, and those above it, unless it stands."""
    with writing_to(folder):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)


def require_room(folder: Path, minimum_bytes: int, what: str) -> None:
    """Refuse work that would end half-way: try to write, and look at the room that is left.

    Args:
        folder: where the work will write; made unless it stands.
        minimum_bytes: how much room it needs.
        what: the work, as the message names it.

    Raises:
        StorageError: the folder cannot be written, or has less room.
    """
    make_folder(folder)
    with writing_to(folder):
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(mmap.PAGESIZE))
        free = shutil.disk_usage(folder).free
    if free < minimum_bytes:
        raise StorageError(
            f"The disk of {folder} has only {free // 1024**2} MB left; {what} needs "
            f"{minimum_bytes // 1024**2} MB to begin with. Free some space there, or set "
            "JOURNEY_HOME to a folder on another disk."
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads: the whole of it, or nothing."""
    with writing_to(path.parent):
        new = path.with_name(path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


@contextmanager
def locked(path: Path, what: str, timeout: float = LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold the lock file: one process at a time starts or stops things. It ends with the process.

    Raises:
        ServerError: another process held it all the while.
    """
    with writing_to(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ServerError(
                        f"Another command has been busy with {what} for {timeout:.0f} seconds "
                        f"(it holds {path}). Wait for it, or end it, and try again."
                    ) from None
                time.sleep(LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
