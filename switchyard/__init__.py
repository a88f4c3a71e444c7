"""Switchyard: a personal switcher daemon for coding-agent APIs."""

VERSION = "0.1.0"
