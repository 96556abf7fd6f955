"""The one way to lock a row. The order of locks is written down in docs/locking.md."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class LockingQuerySet(models.QuerySet[Row]):
    """A QuerySet that can lock one row until the end of the transaction."""

    def lock(self, pk: Any) -> Row:
        """
        Read the row with this primary key and hold it; others who lock it wait.

        ``no_key=True`` (``FOR NO KEY UPDATE``): rows that refer to this one by foreign key can
        still be inserted meanwhile.

        :raises DoesNotExist: where there is no such row
        """
        return self.select_for_update(of=("self",), no_key=True).get(pk=pk)
