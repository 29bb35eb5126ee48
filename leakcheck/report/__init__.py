"""One page of one or several runs."""
