"""Who is told that a submit is over: by mail, and by a POST to an address of theirs. At least once, with an id."""
