"""STARTS THE DAEMON WITH THE SESSION: systemd, launchd or the task scheduler, for this user alone."""
