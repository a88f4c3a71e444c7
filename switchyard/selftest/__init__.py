"""TRIES OUT: the installed clients against a daemon of their own, and what has changed in them."""
