"""Rows of rings in a file: MCAP with raw rows, so that what is read back is bit for bit what was in the ring.

A channel per ring (topic: its name; schema encoding `sinew.row`: the ring's schema text), a message per row: sequence,
session, stamp, then the row's bytes. Small texts (cell, identities) are attachments. Chunks are small and uncompressed: a
file whose writer was killed gives back every whole chunk.
"""

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mcap.exceptions import InvalidMagic, McapError
from mcap.records import Attachment, Channel, Message, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from runtime.errors import SinewError
from runtime.ring import RowMeta, dtype_of, schema_of

ENCODING = "sinew.row"
CHUNK_BYTES = 64 * 1024
MAX_LOG_BYTES = 8 << 30
MAX_ROW_BYTES = 64 << 20
_META = struct.Struct("<QQq")


class RowLogError(SinewError):
    """A log cannot be written or read."""


class RowLogWriter:
    """Writes one log. The file bears its name only once it is whole: until `close` it ends in `.part`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("wb")
        self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)
        self._writer.start(profile="sinew", library="sinew")
        self._channels: dict[str, int] = {}

    def attach(self, name: str, content: bytes, now_ns: int) -> None:
        """Add a small file."""
        self._writer.add_attachment(now_ns, now_ns, name, "application/octet-stream", content)

    def ring(self, name: str, dtype: np.dtype) -> None:
        """Announce a ring, also one that will have no rows."""
        text = json.dumps({"row_bytes": dtype.itemsize, "schema": schema_of(dtype)})
        schema = self._writer.register_schema(name, ENCODING, text.encode())
        self._channels[name] = self._writer.register_channel(name, ENCODING, schema)

    def row(self, name: str, row: bytes, meta: RowMeta) -> None:
        """Add one row of an announced ring."""
        data = _META.pack(meta.sequence, meta.session, meta.stamp_ns) + row
        self._writer.add_message(self._channels[name], meta.stamp_ns, data, meta.stamp_ns, meta.sequence & 0xFFFFFFFF)

    def close(self) -> None:
        """Finish: on the disk, under its name."""
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)


@dataclass(frozen=True)
class RingRows:
    """The rows of one ring in a log: `meta` with sequence, session, stamp_ns; `rows` of the ring's dtype."""

    meta: np.ndarray
    rows: np.ndarray


@dataclass
class RowLog:
    """What is in a log. `whole` is False where its end is missing."""

    rings: dict[str, RingRows] = field(default_factory=dict)
    attachments: dict[str, bytes] = field(default_factory=dict)
    whole: bool = True


def read_log(path: Path) -> RowLog:
    """Read a log into memory; one that was cut off is read as far as it goes.

    Raises:
        RowLogError: no such file, no log, or rows that do not fit their schema.
    """
    log = RowLog()
    try:
        if path.stat().st_size > MAX_LOG_BYTES:
            raise RowLogError(
                f"{path}: {path.stat().st_size} bytes; logs of more than {MAX_LOG_BYTES} are not read at once"
            )
        with path.open("rb") as file:
            names: dict[int, str] = {}
            dtypes: dict[str, np.dtype] = {}
            data: dict[str, bytearray] = {}
            for record in _records(StreamReader(file, record_size_limit=MAX_ROW_BYTES), log):
                if isinstance(record, Schema):
                    described = json.loads(record.data)
                    dtypes[record.name] = dtype_of(described["schema"], described["row_bytes"])
                elif isinstance(record, Channel):
                    names[record.id] = record.topic
                    data.setdefault(record.topic, bytearray())
                elif isinstance(record, Attachment):
                    log.attachments[record.name] = record.data
                elif isinstance(record, Message):
                    data[names[record.channel_id]] += record.data
        for name, raw in data.items():
            framed = np.dtype([("sequence", "<u8"), ("session", "<u8"), ("stamp_ns", "<i8"), ("row", dtypes[name])])
            rows = np.frombuffer(bytes(raw), framed)
            log.rings[name] = RingRows(rows[["sequence", "session", "stamp_ns"]], rows["row"])
    except OSError as error:
        raise RowLogError(f"{path}: {error.strerror}") from error
    except (McapError, ValueError, KeyError, TypeError) as error:
        raise RowLogError(f"{path}: not a log of this program: {error}") from error
    return log


def _records(reader: StreamReader, log: RowLog) -> Iterator[object]:
    records = iter(reader.records)
    while True:
        try:
            yield next(records)
        except StopIteration:
            return
        except InvalidMagic:
            raise
        except (McapError, struct.error, EOFError):
            log.whole = False
            return
