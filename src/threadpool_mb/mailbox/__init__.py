"""Mailboxes: a config creates a mailbox, the receiving end, which creates inputs to send into."""
