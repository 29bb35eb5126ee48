"""Where messages wait: the sending half, the slots of a limit, and the lanes of shared threads."""
