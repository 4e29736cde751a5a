"""Bug reports, redaction, crash log, licences."""
