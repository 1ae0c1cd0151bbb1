"""How a hospital saved its tables: the encoding of each file, and the row of its header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Encoding = Literal["utf-8", "gb18030"]
TableKey = Literal["table", "reads"]


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How one table file is saved.

    Attributes:
        key: The key of site.yaml that names the file.
        encoding: Of a CSV file; a byte order mark overrules it.
        header_row: Row of the header (1-based), where titles stand above it.
    """

    key: TableKey = "table"
    encoding: Encoding = "utf-8"
    header_row: int = 1

    def advise(self, setting: str, value: object) -> str:
        """How site.yaml states another value for this file alone.

        >>> TableFormat("reads").advise("encoding", "gb18030")
        'encoding: {reads: gb18030}'
        """
        return f"{setting}: {{{self.key}: {value}}}"
