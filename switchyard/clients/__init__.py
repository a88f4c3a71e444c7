"""The configuration files of the clients."""
