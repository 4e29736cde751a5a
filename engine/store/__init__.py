"""What runs keep on disk: a journal while they work, a cache afterwards. Knows nothing of torch."""

from engine.store.journal import Entry, Journal, JournalWriter, Record, read_journal
from engine.store.pair import PairStore
from engine.store.store import DEFAULT_LIMIT_BYTES, DecompositionStore, PairUsage, read_limit, write_limit

__all__ = [
    "DEFAULT_LIMIT_BYTES",
    "DecompositionStore",
    "Entry",
    "Journal",
    "JournalWriter",
    "PairStore",
    "PairUsage",
    "Record",
    "read_journal",
    "read_limit",
    "write_limit",
]
