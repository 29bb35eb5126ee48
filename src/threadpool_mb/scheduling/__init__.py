"""Threads, and who runs on them."""
