"""TRANSLATES: one neutral form, three codecs; pure, without I/O."""
