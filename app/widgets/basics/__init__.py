"""Building blocks of all other widgets: panels, fields, sliders, plots, dialogs, drops."""
