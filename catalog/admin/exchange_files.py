"""
Files of the catalogue, for spreadsheets and out of them: every cell that is read is plain text.

What a spreadsheet would take for a formula is written with an apostrophe before it, which is taken
away when the file comes back: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import openpyxl
import tablib
from django.core import signing
from django.core.exceptions import ValidationError
from import_export.formats.base_formats import CSV, XLSX
from import_export.tmp_storages import BaseStorage
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

MOST_BYTES = 512 * 1024  # of a file: it comes along with the form that says yes, as text, in 1 MiB
MOST_UNPACKED = 20 * 1024 * 1024  # bytes of an XLSX, which is a ZIP
MOST_ROWS = 500  # each is some thirty statements where it is new: seconds, all in all
MOST_COLUMNS = 200
DIGITS_OF_NUMBER = 15  # of an XLSX: a spreadsheet's numbers are exact up to here
LENGTH_OF_CELL = 32_767  # characters, of an XLSX
NUMBER = "#"  # the column that says which row of the file this is
LIFETIME = 3600  # seconds between reading what an import would do, and saying yes
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")
_DEFUSED = re.compile(r"'+[=+\-@＝＋－＠\t\r\n]")


class UnreadableFile(ValidationError):
    """Says what is wrong with a file as a whole."""


def defused(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """Exactly what ``defused`` was given."""
    return text[1:] if _DEFUSED.match(text) else text


class CatalogueCSV(CSV):
    """UTF-8, with commas; with semicolons too, as spreadsheets of half of Europe write it."""

    def create_dataset(self, in_stream: bytes, **options: Any) -> tablib.Dataset:
        try:
            text = in_stream.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UnreadableFile("This is no text in UTF-8: save it as “CSV UTF-8”.") from None
        heading = text.partition("\n")[0]
        mark = ";" if heading.count(";") > heading.count(",") else ","
        try:
            return _dataset(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
        except csv.Error as fault:
            raise UnreadableFile(f"This is no CSV: {fault}.") from None


class CatalogueXLSX(XLSX):
    def create_dataset(self, in_stream: bytes) -> tablib.Dataset:
        """Read the sheet that is open; a formula is refused: its value may be old."""
        try:
            with zipfile.ZipFile(io.BytesIO(in_stream)) as archive:
                unpacked = sum(part.file_size for part in archive.infolist())
        except zipfile.BadZipFile:
            raise UnreadableFile("This is no XLSX file.") from None
        if unpacked > MOST_UNPACKED:
            raise UnreadableFile("This file is too large, unpacked.")
        book = openpyxl.load_workbook(io.BytesIO(in_stream), read_only=True)
        try:
            sheet = book.active
            if not hasattr(sheet, "iter_rows"):
                raise UnreadableFile("The sheet that is open is a chart.")
            return _dataset([_text(cell) for cell in row] for row in sheet.iter_rows())
        finally:
            book.close()

    def export_data(self, dataset: tablib.Dataset, **options: Any) -> bytes:
        safe = tablib.Dataset(headers=dataset.headers)
        for row in dataset:
            safe.append([_cell(value) for value in row])
        return super().export_data(safe, column_width=20, **options)


class SignedStorage(BaseStorage):
    """
    Keeps a file between the two steps in the form itself, signed: nothing lies on a disk that
    another process would have to find, and nobody says yes to another file than was read.
    """

    def save(self, data: bytes) -> None:
        self.name = signing.dumps(data, salt=__name__, serializer=_AsItIs, compress=True)

    def read(self) -> bytes:
        try:
            return signing.loads(self.name, salt=__name__, serializer=_AsItIs, max_age=LIFETIME)
        except signing.BadSignature:
            raise UnreadableFile("That was too long ago: choose the file once more.") from None

    def remove(self) -> None:
        """There is nothing to remove."""


class _AsItIs:
    def dumps(self, data: bytes) -> bytes:
        return data

    def loads(self, data: bytes) -> bytes:
        return data


def _dataset(rows: Iterable[list[str]]) -> tablib.Dataset:
    """Rows as long as the heading, each with its number in the file; empty ones are left out."""
    dataset = tablib.Dataset()
    width = 0
    for number, row in enumerate(rows, 1):
        while row and not row[-1]:
            row.pop()
        if any("\0" in cell for cell in row):
            raise UnreadableFile(f"Row {number} has a NUL in it.")
        if number == 1:
            columns = [cell.strip() for cell in row]
            _check_heading(columns)
            width = len(columns)
            dataset.headers = [*columns, NUMBER]
            continue
        if not row:
            continue
        if len(row) > width:
            raise UnreadableFile(f"Row {number} has more cells than there are columns.")
        if len(dataset) == MOST_ROWS:
            raise UnreadableFile(f"There are more than {MOST_ROWS:,} rows.")
        dataset.append([*map(restored, row), *[""] * (width - len(row)), str(number)])
    if not len(dataset):
        raise UnreadableFile("There are no rows in this file.")
    return dataset


def _check_heading(columns: list[str]) -> None:
    if not all(columns):
        raise UnreadableFile("A column has no name: the first line has the names of the columns.")
    if len(columns) > MOST_COLUMNS:
        raise UnreadableFile(f"There are more than {MOST_COLUMNS} columns.")
    columns = [*columns, NUMBER]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise UnreadableFile(f"These columns are there twice: {', '.join(twice)}.")


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise UnreadableFile(f"Cell {cell.coordinate} is a formula: put its value in its place.")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise UnreadableFile(f"Cell {cell.coordinate} is neither a text nor a number.")


def _cell(value: Any) -> Any:
    """As an XLSX can hold it exactly."""
    if isinstance(value, Decimal | int):
        is_exact = len(Decimal(value).as_tuple().digits) <= DIGITS_OF_NUMBER
        return value if is_exact else str(value)
    if len(value) > LENGTH_OF_CELL or ILLEGAL_CHARACTERS_RE.search(value):
        raise ValueError(f"XLSX cannot hold “{value[:30]}…”: take CSV.")
    return value
