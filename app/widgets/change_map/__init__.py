"""The map of changes: blocks by kinds of layers, coloured by change or by what is kept."""
