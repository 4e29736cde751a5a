"""From a delta to a low-rank pair of factors: truncated SVD, rank rules, storage, and the error of it all."""
