"""Calls to the operating system: single instance, notifications, displays, threads at the end of the process."""
