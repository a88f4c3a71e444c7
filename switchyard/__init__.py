"""Switchyard: a personal switcher daemon for coding-agent APIs."""

VERSION = "0.2.0"
