"""What runs inside the sandbox, on the function's own interpreter (3.10 and up): standard library only.

Copied into every runtime set (see `runtimes/python/sets.py`), so it is `/var/runtime/pilotlight_inside` in there. It
imports nothing of the node, and the node imports nothing of it.
"""
