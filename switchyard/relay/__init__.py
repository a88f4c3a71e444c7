"""SENDS: attempt by attempt until an upstream answers; delivers the answer."""
