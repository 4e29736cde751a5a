"""The singular values of chosen layers, as a plot with its legend."""
