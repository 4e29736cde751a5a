"""The version of the numbers."""

SOLVER_VERSION = 3  # raised when the same delta, policy and seed may give other numbers
