"""The pool: which worker a key has (roster), what starts it (dispatcher), and the door."""
