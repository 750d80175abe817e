"""Entry of everything that runs on a function's interpreter in its sandbox: the zygote, and the exec path.

It stands at /var/runtime/bootstrap.py, as on AWS, and is `__main__` there.
"""

import os
import sys


def main():
    if "PILOTLIGHT_ZYGOTE_PLAN" in os.environ:
        from pilotlight_inside.zygote import serve

        become = serve(int(os.environ.pop("PILOTLIGHT_ZYGOTE_PLAN")))  # returns in the children only
    else:
        from pilotlight_inside.exec_path import become
    # what a function's own failures leave on the stack is from here on the same either way, and little
    run, handler, client = become()
    run(handler, client)


if __name__ == "__main__":
    if not sys.path or sys.path[0] != os.path.dirname(os.path.abspath(__file__)):  # PYTHONSAFEPATH, -P
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main()
