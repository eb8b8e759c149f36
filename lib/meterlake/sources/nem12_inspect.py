"""The second reader of NEM12: counts the values in the bytes and tells what is wrong with a file as a whole.

Nothing here is shared with nem12_records.py: the ledger compares the two counts. A value is what stands between two
commas of a 300 record after its date and before its quality.
"""

import codecs
import re

QUALITY = re.compile(rb",\s*[AEFNSV]\d{0,2}\s*(?=,|$)")
EMPTY = b" \t\r\f\v,"
KNOWN = (b"100", b"200", b"300", b"400", b"500", b"900")


class Tally:
    """Fed with chunks of a file; afterwards `values`, or `problem` and `remedy` where it is no NEM12 file."""

    def __init__(self) -> None:
        self.values, self.problem, self.remedy = 0, "", ""
        self._line, self._last, self._days = 0, b"", 0
        self._carry, self._varies = b"", False

    def add(self, chunk: bytes) -> None:
        *lines, self._carry = (self._carry + chunk).split(b"\n")
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """The file is over: it must have ended with a 900 record and held a day."""
        if self._carry:
            self._take(self._carry)
        if self.problem:
            return
        if self._last != b"900":
            self._refuse(f"ends on line {self._line} without an end record (900): it is cut off", "deliver it again")
        elif not self._days and not self.values:
            self._refuse(
                f"holds no readings: line {self._line} ends it (record 900) and no 300 record came before",
                "deliver it again, or leave it out",
            )

    def _take(self, line: bytes) -> None:
        self._line += 1
        line = line.strip(b" \t\r\f\v").removeprefix(codecs.BOM_UTF8)
        if self.problem or not line.strip(EMPTY):
            return
        kind = line.split(b",", 1)[0]
        if not self._last:
            self._check_header(kind, line)
        if kind == b"300":
            self._take_day(line)
        elif kind == b"400":
            self.values += not self._varies
        elif kind != b"500":
            self.values += kind not in KNOWN
            self._varies = False
        self._last = kind

    def _check_header(self, kind: bytes, line: bytes) -> None:
        if kind != b"100":
            told = f"record {kind.decode()}" if kind in KNOWN else repr(line[:20].decode(errors="replace"))
            self._refuse(
                f"has no header: line {self._line} is {told} where record 100 must stand", "deliver it with its header"
            )
            return
        version = line.partition(b",")[2].partition(b",")[0].strip().upper().decode(errors="replace")
        if version == "NEM13":
            self._refuse(
                f"is a NEM13 file (line {self._line}): readings of a register, months apart, have no intervals",
                "deliver interval data (NEM12)",
            )
        elif version != "NEM12":
            self._refuse(f"says {version!r} on line {self._line} where NEM12 must stand", "deliver a NEM12 file")

    def _take_day(self, line: bytes) -> None:
        _, _, rest = line.partition(b",")
        date_ends = rest.find(b",")
        fields = rest[date_ends:] if date_ends >= 0 else b""
        quality = QUALITY.search(fields)
        self._varies = bool(quality and quality.group().strip(b", \t").startswith(b"V"))
        self.values += max(1, fields.count(b",", 0, quality.start() if quality else len(fields)))
        self._days += 1

    def _refuse(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
