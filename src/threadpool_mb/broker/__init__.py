"""A table of resources, the thread that owns it, and the four functions a user gives it."""
