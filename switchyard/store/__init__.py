"""REMEMBERS: files, settings, journal and statistics on disk."""
