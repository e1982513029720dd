"""The beginning of a file as lines of text: at most its first 1 MB, up to the last line end."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from pymyx.core.errors import Fault, PymyxError, UsageError

MOST = 1_000_000  # bytes, unpacked
MARKS = {  # how files of other kinds begin, and what to do with them
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or export it as CSV"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "export it as CSV"),
    b"PAR1": ("a Parquet file", "parse reads CSV; this one is parsed already"),
    b"SQLite format 3": ("an SQLite database", "export its table as CSV"),
    b"%PDF": ("a PDF", "export it as CSV"),
    b"\x1f\x8b": ("compressed by gzip, and its name does not say so", "name it .csv.gz"),
}
HTML = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f]")
LATIN_1 = re.compile(rb"[\t\x20-\x7e\xa0-\xff]*")  # a line of it that is not damaged


class Sample(NamedTuple):
    """What was read of a file."""

    name: str  # without `.gz`
    data: bytes  # unpacked
    cut: bool  # whether the file goes on
    lines: list[str]  # from line 1 on
    encoding: str  # how they were decoded
    because: str  # how that was seen


def read_sample(path: Path) -> Sample:
    """Read the beginning of a file.

    Raises:
        UsageError: there is no such file, or it may not be read.
        PymyxError: it does not hold lines of text.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            what, hint = ("a folder", "name a file in it") if S_ISDIR(status.st_mode) else ("not a regular file", "")
            raise UsageError(Fault(f"`{path}` is {what}", hint=hint))
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(MOST + 1)
    except EOFError:
        raise PymyxError(Fault(f"`{path}` is damaged: what gzip compressed has no end", hint="copy it again")) from None
    except (gzip.BadGzipFile, zlib.error):
        raise PymyxError(Fault(f"`{path}` is damaged, or not compressed by gzip, though its name says so")) from None
    except OSError as error:
        raise UsageError(Fault(f"`{path}` cannot be read: {error.strerror}")) from None
    return sample_of(path.name[:-3] if packed else path.name, data)


def sample_of(name: str, data: bytes) -> Sample:
    """The bytes of a file, or one more than the first 1 MB of them, as lines of text.

    Raises:
        PymyxError: they are not lines of text.
    """
    cut = len(data) > MOST
    data = data[:MOST]
    if not data.strip(b"\0\r\n\t "):
        what = "empty" if not data else "nothing but NUL bytes" if b"\0" in data else "blank"
        raise _refused(name, what, "take a file with rows in it")
    for mark, (what, hint) in MARKS.items():
        if data.startswith(mark):
            raise _refused(name, what, hint)
    if HTML.match(data.removeprefix(b"\xef\xbb\xbf")):
        raise _refused(name, "an HTML page, not CSV", "download the file itself: the page may be an error, or a login")
    encoding, start, because = _encoding(_up_to_line_end(data) if cut else data)
    text = data[start:].decode(encoding, "replace")
    if cut:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
        if not text:
            raise _refused(name, "one line of more than 1 MB", "take a file whose lines end")
        data = data[: start + len(text.encode("utf-16-le"))] if "16" in encoding else _up_to_line_end(data)
    if len(CONTROL.findall(text)) * 50 > len(text) or text.count("\0") * 2 > len(text):
        raise _refused(name, "binary, not lines of text", "export it as CSV")
    named = "utf-16" if encoding.startswith("utf-16") and start else encoding
    return Sample(name, data, cut, re.split("\r\n|\r|\n", text), named, because)


def _refused(name: str, what: str, hint: str) -> PymyxError:
    return PymyxError(Fault(f"`{name}` is {what}: no params of parse fit it", hint=hint))


def _up_to_line_end(data: bytes) -> bytes:
    return data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]


def _encoding(data: bytes) -> tuple[str, int, str]:
    """How the bytes are to be decoded, how many of them are its mark, and how that was seen."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return encoding, 2, "the first two bytes are its mark (BOM)"
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8", 3, "the first three bytes are its mark (BOM)"
    for first, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):
        if data[first::2].count(0) * 2 > len(data) // 2 and data[1 - first :: 2].count(0) * 10 < len(data):
            return encoding, 0, f"every {('first', 'second')[first]} of two bytes is NUL, and there is no mark (BOM)"
    lines = re.split(rb"\r\n|\r|\n", data)
    for number, line in enumerate(lines, start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            if LATIN_1.fullmatch(line):
                return "latin-1", 0, f"line {number} is not UTF-8: byte {line[error.start]:#04x}"
    if data.isascii():
        return "utf-8", 0, "all is ASCII"
    number = next(number for number, line in enumerate(lines, start=1) if not line.isascii())
    return "utf-8", 0, f"line {number} has bytes beyond ASCII, and is UTF-8"
