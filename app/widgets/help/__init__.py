"""Help around the work: welcome card, about box, bug report, crash bar, demo dialog."""
