"""From a delta to a low-rank pair of factors: truncated SVD, rank rules, storage, and the error of it all."""

from engine.devices.process_memory import prefer_large_pages

prefer_large_pages()  # whichever module comes first, before any tensor is made
