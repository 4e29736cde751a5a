"""From a delta to a low-rank pair of factors: truncated SVD, rank rules, storage, and the error of it all."""

from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.factors import Stored, store_difference, store_factors
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd

__all__ = ["RankPolicy", "Stored", "TruncatedSvd", "store_difference", "store_factors", "truncated_svd"]
