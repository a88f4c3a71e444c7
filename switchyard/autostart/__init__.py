"""Start the daemon with the user's session: systemd, launchd or the task scheduler, for this user only."""
