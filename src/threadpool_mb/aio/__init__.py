"""For asyncio: waiting for a reply, for room and for messages without a thread that waits."""
