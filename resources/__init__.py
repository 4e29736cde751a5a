"""Groups material that ships with the project but is not part of the tool itself."""
