"""The tabs of the window, each put together from panels of other folders."""
