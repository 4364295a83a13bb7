"""Whether a learned table may decide: it must have been shown to be better, speak of models that are there, and be small."""

from fairlead_common.snapshots.predictor import MAX_BYTES, LearnedTable
from fairlead_models.catalog.catalog import Catalog

SHOWN = 10


class TableRefused(Exception):
    """The table must not decide; ``code`` is for programs, the message says why and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(table: LearnedTable, size: int, catalog: Catalog) -> None:
    """Raises TableRefused.

    Args:
        size: of the table as JSON, in bytes.
    """
    if size > MAX_BYTES:
        raise TableRefused(
            "table_too_large",
            f"the table has {size:,} bytes, and edges take {MAX_BYTES:,}; train one of fewer clusters or models",
        )
    found = table.evaluation
    if not found.passed:
        raise TableRefused(
            "not_better",
            f"the table's gain over the best model per task class, {found.gain:+.4f} [{found.low:+.4f},"
            f" {found.high:+.4f}], does not exclude a loss; more outcomes may show one",
        )
    known = {str(target) for target in catalog.entries}
    if unknown := [name for name in table.models if name not in known]:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise TableRefused(
            "unknown_model",
            f"the catalog has no model {', '.join(unknown[:SHOWN])}{more}; the table must name each as provider/model",
        )
