"""Run once when a runtime set is made: which top-level modules each way of starting has loaded before a handler.

`manifest.py <fresh | bare | full>` prints them as JSON. It is also the proof that the set works on this interpreter.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import os

    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if sys.argv[1] == "fresh":
        __import__("pilotlight_inside.exec_path")
        __import__("awslambdaric.bootstrap")
    else:
        from pilotlight_inside import zygote

        zygote.preload(sys.argv[1])
    loaded = {name.partition(".")[0] for name in sys.modules}
    import json

    print(json.dumps(sorted(loaded - {"pilotlight_inside", "__main__"})))
