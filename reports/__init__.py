"""What `make reports` makes: one folder with what the tools say of this library."""
