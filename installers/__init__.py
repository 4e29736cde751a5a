"""Makes the program into something to double-click: bundles, packages, and what they need. Not part of the program."""
