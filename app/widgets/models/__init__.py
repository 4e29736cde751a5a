"""The two models: their cards, the card of the pair, and what is left out of it."""
