"""Whether the library keeps what it should let go: `python -m leakcheck`.

# A run, from the top:
#
#   __main__        the command line
#   supervising     each scenario in a process of its own, under a cap and a time limit
#   child           that process: round after round, a reading after each
#   readings        what is read when everything is quiet
#   judging         the slope, and the four assertions
#   culprits        on failure: what has grown, and what holds it
#   results         what is kept of a run, as JSON
#   report/         the page
#   scenarios/      what is done in a round; catalog names them
#   seeds           leaks that are planted, to see that they are found
"""
