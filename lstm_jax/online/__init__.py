"""Learning on line, as in 1997 to 2002: an update after every sequence or every step, many tiny nets side by side."""
