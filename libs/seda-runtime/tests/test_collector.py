"""When cycles are looked for, in a process of its own: the collector is everybody's."""

import subprocess
import sys

LOOKS = """
import gc
from seda_runtime.collector import collect_rarely

class Knot:
    gone = 0
    def __init__(self): self.itself = self
    def __del__(self): Knot.gone += 1

stays = gc.get_freeze_count()
collect_rarely()
print(gc.get_freeze_count() > stays)
knots = [Knot() for _ in range(2_000)]
knots.clear()
print(Knot.gone)
others = [[] for _ in range(30_000)]
print(Knot.gone)
"""


def test_what_stays_is_left_alone_and_cycles_go_though_not_at_once() -> None:
    said = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "0", "2000"]
