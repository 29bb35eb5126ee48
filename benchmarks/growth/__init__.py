"""What the workload `growth` runs: the lives of very many keys, and floods of messages."""
