"""The lines of an extract, gz or plain, one at a time and never more than one in memory.

What lives here: encoding, header, quoting, lengths, truncation. What a column may hold is
`accounts.imports.rows`. A physical line is a row: no column of ours may hold a line break, so a stray
quotation mark spoils its own line and not the hundred after it.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from django.utils.translation import gettext_lazy as _

from accounts.errors import Refusal
from accounts.imports.reasons import Reason

MAX_LINE_BYTES = 8 * 1024  # five times the longest line an extract of ours can have
SAMPLE_BYTES = 64 * 1024  # looked at before the first row, to tell another encoding from a bad line
BUFFER_BYTES = 256 * 1024
GZIP_MAGIC = b"\x1f\x8b"
UNREADABLE = (EOFError, zlib.error, gzip.BadGzipFile)  # cut off; spoilt; not gzip, or a wrong checksum
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class WrongEncoding(Refusal):
    code = "wrong_encoding"
    template = _("{file} is not UTF-8 but {encoding}. Convert it first; nothing was read.")


class WrongHeader(Refusal):
    code = "wrong_header"
    template = _("{file} does not have the columns of this extract: {difference}. Nothing was read.")


class Damaged(Refusal):
    """The file ends in the middle or its checksum is wrong; what follows the last whole batch is not kept."""

    code = "damaged_file"
    template = _("{file} is damaged or cut off near line {line}: fetch it again.")


class Line(NamedTuple):
    """One data line: its texts in the order asked for, or why there are none."""

    number: int  # in the file, counting from 1; the header is line 1
    values: Sequence[str]
    problem: Reason | None = None


class Extract:
    """An open extract: `for line in extract`. Raises `WrongEncoding`, `WrongHeader`, later `Damaged`."""

    def __init__(self, path: Path, *, columns: Sequence[str]) -> None:
        self.path = path
        self.line_number = 0
        self._raw = path.open("rb", buffering=BUFFER_BYTES)
        try:
            self._stream = _unzipped(self._raw)
            self._refuse_other_encodings()
            self._order = self._read_header(columns)
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Extract:
        return self

    def __exit__(self, *error: object) -> None:
        self._raw.close()

    @property
    def bytes_read(self) -> int:
        """How far the file itself was read, compressed or not: what a progress bar can count."""
        return self._raw.tell()

    def __iter__(self) -> Iterator[Line]:
        for number, raw in self._lines():
            if raw is None:
                yield Line(number, (), Reason.LINE_TOO_LONG)
            elif raw.strip():
                yield self._parsed(number, raw)

    def _parsed(self, number: int, raw: bytes) -> Line:
        try:
            text = raw.decode("utf-8").rstrip("\r\n")
            values = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
        except UnicodeDecodeError:
            return Line(number, (), Reason.NOT_UTF8)
        except csv.Error:
            return Line(number, (), Reason.QUOTING)
        if len(values) != len(self._order):
            return Line(number, (), Reason.NUMBER_OF_FIELDS)
        return Line(number, [values[at] for at in self._order])

    def _lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Every further line with its number; None for one that is too long to be a line."""
        while True:
            raw = self._readline()
            if not raw:
                return
            self.line_number += 1
            if len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n"):
                yield self.line_number, raw
                continue
            while raw and not raw.endswith(b"\n"):  # skip its rest a buffer at a time
                raw = self._readline()
            yield self.line_number, None

    def _readline(self) -> bytes:
        try:
            return self._stream.readline(MAX_LINE_BYTES)
        except UNREADABLE as error:
            raise Damaged(file=self.path.name, line=self.line_number + 1) from error

    def _refuse_other_encodings(self) -> None:
        """Raise when the file as a whole is not UTF-8; a single bad line is that line's problem."""
        sample = b""
        try:
            while len(sample) < SAMPLE_BYTES and (more := self._stream.read1(SAMPLE_BYTES - len(sample))):
                sample += more
        except UNREADABLE:
            pass  # the lines before the damage are good, and reading them one by one will find it
        self._stream.seek(0)
        if sample.startswith(UTF16_MARKS):
            raise WrongEncoding(file=self.path.name, encoding="UTF-16")
        whole = sample.splitlines()[: -1 if len(sample) == SAMPLE_BYTES else None]
        telling = [line for line in whole if not line.isascii()]
        bad = [line for line in telling if not _decodes(line, "utf-8")]
        if len(bad) * 2 > len(telling) and len(bad) > 1:
            like_gbk = all(_decodes(line, "gb18030") for line in bad)
            raise WrongEncoding(file=self.path.name, encoding="GBK" if like_gbk else _("something else"))

    def _read_header(self, columns: Sequence[str]) -> list[int]:
        """Where each of `columns` stands on a line."""
        number_and_line = next(self._lines(), (0, b""))
        try:
            header = (number_and_line[1] or b"").decode("utf-8-sig").strip()
            names = [name.strip() for name in next(csv.reader([header], strict=True), [])]
        except (UnicodeDecodeError, csv.Error):
            names = []
        missing = [column for column in columns if column not in names]
        twice = [name for name, times in Counter(names).items() if times > 1 and name in columns]
        # Unknown names are counted only: without a header line, persons stand where they would.
        unknown = len([name for name in names if name not in columns])
        wrong = [
            *([_("missing: {names}").format(names=", ".join(missing))] if missing else []),
            *([_("twice: {names}").format(names=", ".join(twice))] if twice else []),
            *([_("unknown columns: {count}").format(count=unknown)] if unknown else []),
        ]
        if wrong:
            raise WrongHeader(file=self.path.name, difference="; ".join(wrong))
        return [names.index(column) for column in columns]


def _unzipped(raw: BinaryIO) -> Any:
    # Not wrapped in a buffer of ours: filling it would run into the damage and lose the good lines before.
    return gzip.GzipFile(fileobj=raw, mode="rb") if _starts_packed(raw) else raw


def _starts_packed(raw: BinaryIO) -> bool:
    start = raw.read(len(GZIP_MAGIC))
    raw.seek(0)
    return start == GZIP_MAGIC


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
