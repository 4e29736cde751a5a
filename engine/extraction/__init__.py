"""A running extraction: executor, lanes, scheduler, stages, progress, collected output, report."""
