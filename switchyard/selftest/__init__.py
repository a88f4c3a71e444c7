"""Run the installed clients against a temporary daemon, and report how their behaviour has changed."""
