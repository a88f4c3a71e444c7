"""Files, settings, journal and statistics on disk."""
