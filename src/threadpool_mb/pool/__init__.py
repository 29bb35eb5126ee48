"""The pool: who runs for which key (roster), started by whom (dispatcher), behind which door."""
