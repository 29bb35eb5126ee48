"""How the guarantees are tried, and what came of it: `python -m reliability`."""
