"""Calls: messages that expect a reply, and what sends, serves and answers them."""
