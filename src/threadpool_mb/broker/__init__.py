"""One thread that owns a table of resources, and the four functions a user gives it."""
