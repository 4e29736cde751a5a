"""What names of tensors mean: families, blocks, pairs of weights. No torch."""
