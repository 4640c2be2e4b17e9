"""Who is at the other end, and what a browser is told to refuse."""
