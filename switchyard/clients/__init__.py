"""SETS UP: the configuration files of the clients."""
