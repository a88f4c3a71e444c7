"""Tell the user what has happened: by a request to an address, or by a program of the user's own."""
