"""The landing zone: which files there are, what they hold, and their bytes.

`<landing>/<tenant_id>/<source>/**/<name>.csv|.jsonl|.parquet`, with `.gz` allowed behind the
first two; a local folder or anything that fsspec opens (s3://, gs://).
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestration.ingest.errors import FileRefused, LandingError

BLOCK_BYTES = 4 * 1024 * 1024
UNPACK_RATIO = 200
"""A gzip file that unpacks to more than this many times what was read of it …"""
UNPACK_FREE_BYTES = 10 * 1024 * 1024
"""… is refused once it has unpacked to this much."""
UNPACK_LIMIT_BYTES = 64 * 1024**3
UNFIT_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")
"""Kinds of characters that tear a line of output apart or that no text column can hold."""
FORMATS = {
    ".csv": ("csv", False),
    ".csv.gz": ("csv", True),
    ".jsonl": ("jsonl", False),
    ".jsonl.gz": ("jsonl", True),
    ".parquet": ("parquet", False),
}


@dataclass(frozen=True)
class LandingFile:
    """A file that somebody put there to be loaded."""

    path: str
    """Below the landing zone, with forward slashes."""
    tenant_id: str
    source: str
    format: str
    is_gzip: bool
    bytes: int


@dataclass(frozen=True)
class LandingProblem:
    """Something in the landing zone that cannot be loaded, and why."""

    file: str
    problem: str


class Landing:
    """A landing zone on a local disk or in an object store."""

    def __init__(self, location: str) -> None:
        """Open the place.

        Raises:
            LandingError: there is no such folder, or no way to reach it.
        """
        import fsspec

        self.location = location
        try:
            self._files, self._root = fsspec.core.url_to_fs(location)
        except (ImportError, ValueError) as error:
            raise LandingError(
                f"The landing zone {location} cannot be opened: {error}. For s3:// install the "
                "package s3fs, for gs:// gcsfs."
            ) from error
        self._root = self._root.rstrip("/")
        self._is_local = "file" in (
            (self._files.protocol,)
            if isinstance(self._files.protocol, str)
            else self._files.protocol
        )
        try:
            is_folder = self._files.isdir(self._root)
        except Exception as error:
            raise LandingError(f"The landing zone {location} cannot be read: {error}") from error
        if not is_folder:
            raise LandingError(
                f"The landing zone {location} is not a folder. Create it, with one folder per "
                "tenant, or point JOURNEY_LANDING to it."
            )

    def scan(
        self, tenants: Collection[str], sources: Collection[str]
    ) -> tuple[list[LandingFile], list[LandingProblem]]:
        """List what is there, in path order, and what is wrong with it."""
        files: list[LandingFile] = []
        problems: dict[str, str] = {}
        for path, size, problem in sorted(self._walk()):
            parts = path.split("/")
            if any(part.startswith(".") for part in parts) or path.endswith((".part", ".tmp")):
                continue
            if any(unicodedata.category(character) in UNFIT_IN_NAMES for character in path):
                problems[repr(path)] = (
                    "has a line break or another control character in its name; rename it"
                )
            elif problem:
                problems[path] = problem
            elif len(parts) == 1:
                problems[path] = "is not in a tenant's folder: <tenant_id>/<source>/<file>"
            elif parts[0] not in tenants:
                problems[parts[0]] = (
                    "is the folder of an unknown tenant; list it in seeds/tenants.csv"
                )
            elif len(parts) == 2:
                problems[path] = "is not in a source's folder: <tenant_id>/<source>/<file>"
            elif parts[1] not in sources:
                problems[f"{parts[0]}/{parts[1]}"] = (
                    f"is the folder of an unknown source; known are {', '.join(sorted(sources))}"
                )
            else:
                form = _format(parts[-1])
                if form is None:
                    problems[path] = f"is none of the known kinds of file: {', '.join(FORMATS)}"
                else:
                    files.append(LandingFile(path, parts[0], parts[1], *form, bytes=size))
        return files, [LandingProblem(file, why) for file, why in sorted(problems.items())]

    def open(self, file: LandingFile) -> IO[bytes]:
        """Open a file for reading.

        Raises:
            OSError: it cannot be opened.
        """
        place = f"{self._root}/{file.path}"
        if self._is_local:
            return Path(place).open("rb")
        opened: IO[bytes] = self._files.open(place, "rb")
        return opened

    def sha256(self, file: LandingFile) -> str:
        """The hash of the file's bytes as they lie there, packed or not."""
        with self.open(file) as opened:
            if self._is_local:
                return hashlib.file_digest(opened, "sha256").hexdigest()  # type: ignore[arg-type]
            digest = hashlib.sha256()
            while data := opened.read(BLOCK_BYTES):
                digest.update(data)
            return digest.hexdigest()

    def size(self, file: LandingFile) -> int:
        """How many bytes the file has now."""
        place = f"{self._root}/{file.path}"
        self._files.invalidate_cache()
        return int(self._files.size(place) or 0)

    def _walk(self) -> Iterator[tuple[str, int, str | None]]:
        """Every file below the root: path, size, and a problem when it must not be opened."""
        if not self._is_local:
            listing: dict[str, dict[str, Any]] = self._files.find(self._root, detail=True)
            for name, information in listing.items():
                path = name[len(self._root) :].lstrip("/")
                if path:
                    yield path, int(information.get("size") or 0), None
            return
        root = Path(self._root).resolve()
        unreadable: list[OSError] = []
        for folder, folders, names in os.walk(root, onerror=unreadable.append):
            for name in [*names, *folders]:
                place = Path(folder, name)
                path = place.relative_to(root).as_posix()
                if place.is_symlink():
                    problem = _link_problem(place, root)
                    if problem or name in folders:
                        yield path, 0, problem or "is a link to a folder; links are not followed"
                        continue
                if name in folders:
                    continue
                if not place.is_file():
                    yield path, 0, "is not a regular file"
                    continue
                yield path, place.stat().st_size, None
        for error in unreadable:
            path = Path(str(error.filename)).relative_to(root).as_posix()
            yield path, 0, f"cannot be listed: {error.strerror}"


def _link_problem(place: Path, root: Path) -> str | None:
    try:
        target = place.resolve(strict=True)
    except (OSError, RuntimeError):
        return "is a link to nothing"
    if not target.is_relative_to(root):
        return "is a link that leads out of the landing zone"
    return None


def _format(name: str) -> tuple[str, bool] | None:
    for ending, form in FORMATS.items():
        if name.endswith(ending) and name != ending:
            return form
    return None


def blocks(stream: IO[bytes], *, is_gzip: bool) -> Iterator[bytes]:
    """The bytes of a file in pieces of at most BLOCK_BYTES, unpacked when it is gzip.

    Raises:
        FileRefused: the gzip file is damaged, cut off, or unpacks beyond all measure.
    """
    if not is_gzip:
        while data := stream.read(BLOCK_BYTES):
            yield data
        return
    packed_bytes = unpacked_bytes = 0
    unpacker = zlib.decompressobj(wbits=31)
    is_inside = False
    while data := stream.read(BLOCK_BYTES // 4):
        packed_bytes += len(data)
        has_more = False
        while data or has_more:
            if not is_inside:
                data = data.lstrip(b"\x00")
                if not data:
                    break
            is_inside = True
            try:
                unpacked = unpacker.decompress(data, BLOCK_BYTES)
            except zlib.error as error:
                raise FileRefused(f"not a sound gzip file ({error}); send it again") from error
            unpacked_bytes += len(unpacked)
            taken_bytes = packed_bytes - len(unpacker.unconsumed_tail) - len(unpacker.unused_data)
            if unpacked_bytes > UNPACK_LIMIT_BYTES or (
                unpacked_bytes > UNPACK_FREE_BYTES and unpacked_bytes > UNPACK_RATIO * taken_bytes
            ):
                raise FileRefused(
                    f"a zip bomb: its first {taken_bytes:,} bytes unpack to {unpacked_bytes:,}, "
                    f"{unpacked_bytes // taken_bytes:,} times as much ({UNPACK_RATIO} are "
                    "allowed); send it unpacked if it is genuine"
                )
            if unpacked:
                yield unpacked
            if unpacker.eof:
                data = unpacker.unused_data
                unpacker = zlib.decompressobj(wbits=31)
                is_inside = has_more = False
            else:
                data = unpacker.unconsumed_tail
                has_more = len(unpacked) == BLOCK_BYTES
    if is_inside or packed_bytes == 0:
        raise FileRefused("a gzip file that ends too early; send it again")
