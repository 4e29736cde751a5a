"""The table of layers: model, order, columns, names, export."""
