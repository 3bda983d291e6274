"""Seqlocked shared-memory rings: one writer, many readers, no locks, fixed size.

A ring is one file under /dev/shm/sinew.<instance>/. Every slot carries a counter in front of and behind the row (odd
while it is being written), the row's sequence number, session nonce, stamp, schema id and, for small rows, a CRC. A
reader that does not find all of them in order has no row: it gets `None` and a status that says why, never "the last
value". Measured: naive reads of a busy row were torn 40 % of the time, with this protocol 0.

The only lock is `flock` on the file, held by the writer for as long as it lives: the kernel drops it when the writer is
killed, so a second start finds what a killed one left behind and removes it; nobody ever waits for it.

x86 keeps stores in order, so two counters would do there; the CRC covers weaker machines for rows up to CRC_LIMIT bytes.
"""

import fcntl
import json
import mmap
import os
import re
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from runtime.errors import SinewError

MAGIC = b"SINEWRNG"
VERSION = 1
CRC_LIMIT_BYTES = 8192  # above this the check would cost more than the copy (frames)
MAX_RING_BYTES = 1 << 31
MAX_SLOTS = 1 << 16
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,95}")

# File header: one page of fixed fields, then the schema as JSON text.
_HEADER = np.dtype(
    [
        ("magic", "S8"), ("version", "<u4"), ("closed", "<u4"), ("session", "<u8"), ("head", "<u8"),
        ("slots", "<u4"), ("slot_bytes", "<u4"), ("row_bytes", "<u4"), ("schema_bytes", "<u4"),
        ("schema_id", "<u4"), ("writer_pid", "<u4"), ("data_offset", "<u8"),
    ]
)  # fmt: skip
_HEAD_INDEX = _HEADER.fields["head"][1] // 8  # type: ignore[index]
_CLOSED_OFFSET = _HEADER.fields["closed"][1]  # type: ignore[index]
_PAGE = 4096
# Slot: begin counter, sequence, session, stamp, schema id, crc, row, padding, end counter.
_SLOT_HEADER_BYTES = 40
_HEADER_TRIES = 8


class RingError(SinewError):
    """A ring cannot be made or opened; the text says what is wrong and what to do."""


class RingSchemaError(RingError):
    """The writer's rows are not the ones this reader knows."""


class RingBusyError(RingError):
    """Another live process writes this ring."""


class RowStatus(IntEnum):
    """Why a read gave a row or none."""

    FRESH = 0
    EMPTY = 1  # the writer has not written yet
    OLD = 2  # older than the caller allows
    UNCLEAN = 3  # torn, corrupt or overwritten in every try
    ABSENT = 4  # no such ring, or its writer closed it


@dataclass(frozen=True)
class RowMeta:
    """What every row carries besides its fields: sequence number from 1, session nonce, monotonic stamp [ns]."""

    sequence: int
    session: int
    stamp_ns: int


def instance_dir(instance: str) -> Path:
    """Where the rings of one running cell live. `instance` is a short name such as the cell's."""
    if not _NAME.fullmatch(instance):
        raise RingError(f"instance name '{instance}': allowed are a-z, 0-9, '_', '.', '-', at most 96 characters")
    return Path(os.environ.get("SINEW_SHM", "/dev/shm")) / f"sinew.{instance}"  # noqa: S108 the kernel's shared memory


def _schema_text(dtype: np.dtype) -> str:
    def describe(one: np.dtype) -> object:
        if one.fields:
            return [[name, describe(one.fields[name][0]), one.fields[name][1]] for name in one.names or ()]
        if one.subdtype:
            return [describe(one.subdtype[0]), list(one.subdtype[1])]
        return one.str

    return json.dumps(describe(dtype), separators=(",", ":"))


def dtype_of(schema: str, row_bytes: int) -> np.dtype:
    """The row dtype that a schema text (of a ring's header, or of a recording) describes.

    Raises:
        ValueError, TypeError, KeyError: the text describes no row.
    """

    def build(one: list, item_bytes: int | None = None) -> np.dtype:
        if isinstance(one, str):
            return np.dtype(one)
        if len(one) == 2 and isinstance(one[1], list) and all(isinstance(size, int) for size in one[1]):
            return np.dtype((build(one[0]), tuple(one[1])))
        names, formats, offsets = [f[0] for f in one], [build(f[1]) for f in one], [f[2] for f in one]
        size = item_bytes or offsets[-1] + formats[-1].itemsize
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})

    return build(json.loads(schema), row_bytes)


def ring_schema(instance: str, name: str) -> tuple[str, int] | None:
    """Schema text and row size [bytes] of a ring that exists now; None if there is none of this layout version."""
    try:
        file = os.open(instance_dir(instance) / f"{name}.ring", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        head = np.frombuffer(os.pread(file, _HEADER.itemsize, 0).ljust(_HEADER.itemsize, b"\0"), _HEADER)[0]
        if head["magic"] != MAGIC or int(head["version"]) != VERSION:
            return None
        text = os.pread(file, int(head["schema_bytes"]), _HEADER.itemsize).decode(errors="replace")
        return text, int(head["row_bytes"])
    finally:
        os.close(file)


def schema_of(dtype: np.dtype) -> str:
    """The text that describes a row dtype, as it stands in a ring's header."""
    return _schema_text(dtype)


def _schema_id(text: str) -> int:
    return zlib.crc32(text.encode())


def _slot_bytes(row_bytes: int) -> int:
    return _SLOT_HEADER_BYTES + (row_bytes + 7) // 8 * 8 + 8


def _schema_difference(ours: str, theirs: str) -> str:
    mine = {field[0]: field[1:] for field in json.loads(ours)}
    other = {field[0]: field[1:] for field in json.loads(theirs)}
    lines = [f"field '{name}' is missing in the ring" for name in mine if name not in other]
    lines += [f"field '{name}' is unknown here" for name in other if name not in mine]
    lines += [
        f"field '{name}' is {other[name][0]} at byte {other[name][1]}, expected {mine[name][0]} at {mine[name][1]}"
        for name in mine
        if name in other and mine[name] != other[name]
    ]
    return "; ".join(lines[:6])


class RingWriter:
    """The one writer of a ring.

    Fill `row` (a scratch record) and call `commit(stamp_ns)`, or fill the shared slot itself with `writing(stamp_ns)`
    where a copy is worth avoiding (frames).

    Raises:
        RingBusyError: a live process already writes a ring of this name (its pid is named).
        RingError: bad name or size, or no room in shared memory.
    """

    def __init__(self, instance: str, name: str, dtype: np.dtype, slots: int, session: int | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise RingError(f"ring name '{name}': allowed are a-z, 0-9, '_', '.', '-', at most 96 characters")
        if not 2 <= slots <= MAX_SLOTS:
            raise RingError(f"ring '{name}': {slots} slots; allowed are 2 to {MAX_SLOTS}")
        if not dtype.fields:
            raise RingError(f"ring '{name}': rows must be a structured dtype, not {dtype}")
        schema = _schema_text(dtype)
        data_offset = (_HEADER.itemsize + len(schema) + _PAGE - 1) // _PAGE * _PAGE
        slot_bytes = _slot_bytes(dtype.itemsize)
        size = data_offset + slots * slot_bytes
        if size > MAX_RING_BYTES:
            raise RingError(f"ring '{name}': {size} bytes exceed the limit of {MAX_RING_BYTES}; use fewer slots")
        self.name, self.dtype, self.slots = name, dtype, slots
        self.session = secrets.randbits(63) | 1 if session is None else session
        self.path = instance_dir(instance) / f"{name}.ring"
        self.sequence = 0
        self._slot_bytes, self._data_offset = slot_bytes, data_offset
        self._schema_id = _schema_id(schema)
        self._use_crc = dtype.itemsize <= CRC_LIMIT_BYTES
        self._file = self._create(size, schema, slot_bytes)
        self._map = mmap.mmap(self._file, size)
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")
        self._scratch = np.zeros(1, dtype)
        self._scratch_bytes = memoryview(self._scratch.view(np.uint8).data).cast("B")
        self.row: np.void = self._scratch[0]

    def _create(self, size: int, schema: str, slot_bytes: int) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_if_dead(self.path)
        temporary = self.path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.new")
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(file, 0, size)  # no room must show here, not as SIGBUS at the first write
            header = np.zeros(1, _HEADER)
            head = header[0]
            head["magic"], head["version"], head["session"] = MAGIC, VERSION, self.session
            head["slots"], head["slot_bytes"], head["row_bytes"] = self.slots, slot_bytes, self.dtype.itemsize
            head["schema_bytes"], head["schema_id"] = len(schema), self._schema_id
            head["writer_pid"], head["data_offset"] = os.getpid(), self._data_offset
            os.pwrite(file, header.tobytes() + schema.encode(), 0)
            os.link(temporary, self.path)  # fails if a second writer was quicker: never two under one name
        except FileExistsError:
            os.close(file)
            raise RingBusyError(f"ring '{self.name}': another process created it at the same moment") from None
        except OSError as error:
            os.close(file)
            raise RingError(f"ring '{self.name}': {size} bytes of shared memory at {self.path}: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)
        return file

    def commit(self, stamp_ns: int) -> int:
        """Publish `row` with its monotonic stamp [ns]; returns the sequence number. Never waits."""
        sequence = self.sequence + 1
        offset = self._data_offset + (sequence - 1) % self.slots * self._slot_bytes
        start, row_bytes = offset + _SLOT_HEADER_BYTES, self.dtype.itemsize
        words, word = self._words, offset >> 3
        words[word] = 2 * sequence - 1
        self._bytes[start : start + row_bytes] = self._scratch_bytes
        words[word + 1] = sequence
        words[word + 2] = self.session
        words[word + 3] = stamp_ns
        crc = zlib.crc32(self._scratch_bytes) if self._use_crc else 0
        words[word + 4] = crc << 32 | self._schema_id
        words[(offset + self._slot_bytes >> 3) - 1] = 2 * sequence
        words[word] = 2 * sequence
        words[_HEAD_INDEX] = sequence
        self.sequence = sequence
        return sequence

    @contextmanager
    def writing(self, stamp_ns: int) -> Iterator[np.void]:
        """The shared slot itself, to be filled in place; published when the block ends, dropped when it raises.

        The record still holds an older row's bytes: set every field.
        """
        sequence = self.sequence + 1
        offset = self._data_offset + (sequence - 1) % self.slots * self._slot_bytes
        start = offset + _SLOT_HEADER_BYTES
        words, word = self._words, offset >> 3
        words[word] = 2 * sequence - 1
        record = np.frombuffer(self._map, self.dtype, 1, start)
        yield record[0]
        words[word + 1] = sequence
        words[word + 2] = self.session
        words[word + 3] = stamp_ns
        crc = zlib.crc32(self._bytes[start : start + self.dtype.itemsize]) if self._use_crc else 0
        words[word + 4] = crc << 32 | self._schema_id
        words[(offset + self._slot_bytes >> 3) - 1] = 2 * sequence
        words[word] = 2 * sequence
        words[_HEAD_INDEX] = sequence
        self.sequence = sequence

    def close(self) -> None:
        """Mark the ring closed for its readers and remove it."""
        if self._file < 0:
            return
        self._bytes[_CLOSED_OFFSET : _CLOSED_OFFSET + 4] = b"\1\0\0\0"
        self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1
        # The mapping goes with its last view: a record handed out by `writing` may still be alive.

    def __enter__(self) -> "RingWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RingReader:
    """One of any number of readers. Attaches when the ring appears, and again when a new writer replaced it.

    `latest` and `drain` return a record that is this reader's own scratch (overwritten by its next read; `.copy()` to
    keep) or None, with `status` naming why. `meta` describes the record last returned.

    Raises:
        RingSchemaError: at the first read that finds a ring whose version or fields are not the expected ones; the
            differing fields are named.
    """

    def __init__(self, instance: str, name: str, dtype: np.dtype) -> None:
        self.name, self.dtype = name, dtype
        self.path = instance_dir(instance) / f"{name}.ring"
        self.status = RowStatus.ABSENT
        self.meta = RowMeta(0, 0, 0)
        self.lost = 0  # rows that `drain` found overwritten
        self.unclean = 0  # tries that met a row being written
        self.attached_session = 0
        self._drained = 0
        self._words: memoryview | None = None
        self._scratch = np.zeros(1, dtype)
        self._scratch_bytes = memoryview(self._scratch.view(np.uint8).data).cast("B")
        self._row: np.void = self._scratch[0]

    def _attach(self) -> bool:
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.status = RowStatus.ABSENT
            return False
        try:
            head = np.frombuffer(os.pread(file, _HEADER.itemsize, 0).ljust(_HEADER.itemsize, b"\0"), _HEADER)[0]
            if head["magic"] != MAGIC or int(head["version"]) != VERSION:
                raise RingSchemaError(
                    f"ring '{self.name}' has layout version {int(head['version'])}, this program has {VERSION}: "
                    "both ends must run the same Sinew version"
                )
            theirs = os.pread(file, int(head["schema_bytes"]), _HEADER.itemsize).decode(errors="replace")
            ours = _schema_text(self.dtype)
            if theirs != ours:
                raise RingSchemaError(f"ring '{self.name}': {_schema_difference(ours, theirs)}")
            size = int(head["data_offset"]) + int(head["slots"]) * int(head["slot_bytes"])
            if size != os.fstat(file).st_size or int(head["slot_bytes"]) != _slot_bytes(self.dtype.itemsize):
                raise RingSchemaError(f"ring '{self.name}': its size {os.fstat(file).st_size} does not fit its header")
            self._map = mmap.mmap(file, size, prot=mmap.PROT_READ)
        finally:
            os.close(file)
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")
        self._slots, self._slot_bytes = int(head["slots"]), int(head["slot_bytes"])
        self._data_offset, self._schema_id = int(head["data_offset"]), int(head["schema_id"])
        self._use_crc = self.dtype.itemsize <= CRC_LIMIT_BYTES
        self.attached_session = int(head["session"])
        self._drained = 0
        return True

    def _ready(self) -> bool:
        """Attached to a ring whose writer has not closed it; tries (again) to attach where not."""
        if self._words is not None and not self._bytes[_CLOSED_OFFSET]:
            return True
        self._words = None
        return self._attach()

    def _copy(self, sequence: int) -> bool:
        """Copy the row of this sequence number into the scratch record; False if it is not there in one piece."""
        words = self._words
        assert words is not None
        offset = self._data_offset + (sequence - 1) % self._slots * self._slot_bytes
        start, word = offset + _SLOT_HEADER_BYTES, offset >> 3
        counter = words[word]
        if counter != 2 * sequence:
            return False
        self._scratch_bytes[:] = self._bytes[start : start + self.dtype.itemsize]
        found, session, stamp_ns, tail = words[word + 1], words[word + 2], words[word + 3], words[word + 4]
        if words[(offset + self._slot_bytes >> 3) - 1] != counter or words[word] != counter or found != sequence:
            return False
        if tail & 0xFFFFFFFF != self._schema_id or session != self.attached_session:
            return False
        if self._use_crc and tail >> 32 != zlib.crc32(self._scratch_bytes):
            return False
        self.meta = RowMeta(sequence, session, stamp_ns)
        return True

    @property
    def head(self) -> int:
        """Sequence number of the newest committed row (0: none)."""
        return self._words[_HEAD_INDEX] if self._ready() and self._words is not None else 0

    def latest(self, now_ns: int, max_age_ns: int | None = None) -> np.void | None:
        """The newest row, or None when there is none, it is unclean, or older than `max_age_ns` at `now_ns`."""
        if not self._ready():
            return None
        words = self._words
        assert words is not None
        for _ in range(_HEADER_TRIES):
            sequence = words[_HEAD_INDEX]
            if sequence == 0:
                self.status = RowStatus.EMPTY
                return None
            if self._copy(sequence):
                if max_age_ns is not None and now_ns - self.meta.stamp_ns > max_age_ns:
                    self.status = RowStatus.OLD
                    return None
                self.status = RowStatus.FRESH
                return self._row
            self.unclean += 1
        self.status = RowStatus.UNCLEAN
        return None

    def drain(self) -> Iterator[np.void]:
        """Every row since the last drain, oldest first. What was overwritten before it was read counts in `lost`."""
        if not self._ready():
            return
        words = self._words
        assert words is not None
        while self._drained < words[_HEAD_INDEX]:
            # The slot after the head may be under the writer's hand, so the oldest safe row is slots - 1 back.
            oldest = words[_HEAD_INDEX] - self._slots + 2
            if self._drained + 1 < oldest:
                self.lost += oldest - 1 - self._drained
                self._drained = oldest - 1
            sequence = self._drained + 1
            if self._copy(sequence):
                self._drained = sequence
                self.status = RowStatus.FRESH
                yield self._row
            elif words[self._data_offset + (sequence - 1) % self._slots * self._slot_bytes >> 3] > 2 * sequence:
                self.lost += 1  # overwritten between the check above and the copy
                self._drained = sequence
            else:
                self.status = RowStatus.UNCLEAN  # committed but damaged: counted as lost, never handed out
                self.lost += 1
                self._drained = sequence

    def skip_to_head(self) -> int:
        """Forget everything written so far; the next `drain` starts behind it. Returns the head's sequence number."""
        self._drained = self.head
        return self._drained

    def view(self, now_ns: int, max_age_ns: int | None = None) -> "RowView | None":
        """The newest row without copying it. Check `still_valid()` after use: the slot may be overwritten meanwhile."""
        if not self._ready():
            return None
        words = self._words
        assert words is not None
        for _ in range(_HEADER_TRIES):
            sequence = words[_HEAD_INDEX]
            if sequence == 0:
                self.status = RowStatus.EMPTY
                return None
            offset = self._data_offset + (sequence - 1) % self._slots * self._slot_bytes
            word = offset >> 3
            end = (offset + self._slot_bytes >> 3) - 1
            meta = RowMeta(words[word + 1], words[word + 2], words[word + 3])
            if words[word] != 2 * sequence or words[end] != 2 * sequence or meta.session != self.attached_session:
                self.unclean += 1
                continue
            if max_age_ns is not None and now_ns - meta.stamp_ns > max_age_ns:
                self.status = RowStatus.OLD
                return None
            self.status, self.meta = RowStatus.FRESH, meta
            row = np.frombuffer(self._map, self.dtype, 1, offset + _SLOT_HEADER_BYTES)[0]
            return RowView(row, meta, words, word)
        self.status = RowStatus.UNCLEAN
        return None

    def close(self) -> None:
        """Let go of the ring; a later read attaches again."""
        self._words = None
        self.status = RowStatus.ABSENT


class RingPulse:
    """When a ring was last written, whatever its rows are: for watching processes and listing what lives."""

    def __init__(self, instance: str, name: str) -> None:
        self.name = name
        self.path = instance_dir(instance) / f"{name}.ring"
        self._words: memoryview | None = None

    def stamp_ns(self) -> int | None:
        """Stamp of the newest row [ns]; None where there is no such ring, no row, or its writer closed it."""
        if self._words is None or self._words[1] >> 32:  # second word: version, closed
            self._words = None
            try:
                file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                head = np.frombuffer(os.pread(file, _HEADER.itemsize, 0).ljust(_HEADER.itemsize, b"\0"), _HEADER)[0]
                if head["magic"] != MAGIC or int(head["version"]) != VERSION:
                    return None
                self._data_offset, self._slots = int(head["data_offset"]), int(head["slots"])
                self._slot_bytes = int(head["slot_bytes"])
                self._map = mmap.mmap(file, 0, prot=mmap.PROT_READ)
            finally:
                os.close(file)
            self._words = memoryview(self._map).cast("Q")
        sequence = self._words[_HEAD_INDEX]
        if sequence == 0:
            return None
        return self._words[(self._data_offset + (sequence - 1) % self._slots * self._slot_bytes >> 3) + 3]


class RowView:
    """A record in shared memory (read-only), good until its writer comes round to the slot again."""

    def __init__(self, row: np.void, meta: RowMeta, words: memoryview, word: int) -> None:
        self.row, self.meta = row, meta
        self._words, self._word = words, word

    def still_valid(self) -> bool:
        """True if nothing overwrote the slot since the view was taken: ask after the last use."""
        return self._words[self._word] == 2 * self.meta.sequence


def _remove_if_dead(path: Path) -> bool:
    """Remove a ring whose writer is gone; raises RingBusyError when it lives. True if something was removed."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            header = os.pread(file, _HEADER.itemsize, 0).ljust(_HEADER.itemsize, b"\0")
            pid = int(np.frombuffer(header, _HEADER)[0]["writer_pid"])
            raise RingBusyError(
                f"ring '{path.stem}' of '{path.parent.name}' is written by process {pid}: stop it first, "
                "or start under another instance name"
            ) from None
        if os.fstat(file).st_size >= _HEADER.itemsize:
            os.pwrite(file, b"\1\0\0\0", _CLOSED_OFFSET)  # readers of the dead ring look for its successor
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(file)


def remove_dead_rings(instance: str) -> list[str]:
    """Remove what killed processes left behind under this instance name. Returns the names; live rings stay."""
    directory = instance_dir(instance)
    removed = []
    for path in sorted(directory.glob("*.ring")) + sorted(directory.glob("*.new")):
        try:
            if _remove_if_dead(path):
                removed.append(path.stem)
        except RingBusyError:
            continue
    if not any(directory.glob("*.ring")):
        for pattern in ("*.json", "*.sock"):  # identity files and sockets of processes that are gone
            for left in directory.glob(pattern):
                left.unlink(missing_ok=True)
    try:
        directory.rmdir()
    except OSError:
        pass  # live rings in it, or never made
    return removed


def ring_names(instance: str) -> list[str]:
    """Names of the rings that exist under this instance name now."""
    return sorted(path.stem for path in instance_dir(instance).glob("*.ring"))
