"""Tool calls that look like an attack: what they do, as reasons. Pure: nothing is run, read or fetched."""
