"""Whether the library keeps what it should let go: `python -m leakcheck`."""

# A run, from the top:
#
#   __main__, progress   the command line, what is to be seen, the log
#   supervising          each scenario in a process of its own, under a cap and a time limit
#   child, spec          that process: round after round, a reading after each
#   readings             what is read when everything is quiet
#   waiting              until it is quiet, and which time counts
#   judging              the slope, and the assertions
#   culprits             on failure: what has grown, and what holds it
#   results              what is kept of a run, as JSON
#   report/              the page, and the picture of docs/leakcheck.md
#   scenarios/, catalog  what is done in a round
#   seeds                leaks that are planted, to see that they are found
