"""What `import orderacc` costs beside an interpreter that does nothing: `pytest benchmarks/test_import.py -s`."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

ROUNDS = 15

MOST_RATIO = 3.0
"""Processor time with the import, of that without."""

MOST_SECONDS = 0.3
"""Wall time of the import, the best of all rounds."""


def test_an_import_costs_little_beside_the_interpreter():
    bare, imported = [], []
    for _ in range(ROUNDS):  # by turns: what else runs then slows both
        bare.append(cost("pass"))
        imported.append(cost("import orderacc"))
    (bare_cpu, bare_wall), (cpu, wall) = (map(min, zip(*each, strict=True)) for each in (bare, imported))
    print(f"\npython -c pass: {bare_cpu * 1000:.0f} CPU-ms, {bare_wall * 1000:.0f} ms")
    print(f"python -c 'import orderacc': {cpu * 1000:.0f} CPU-ms ({cpu / bare_cpu:.2f}), {wall * 1000:.0f} ms")
    assert cpu < MOST_RATIO * bare_cpu
    assert wall - bare_wall < MOST_SECONDS


def cost(code):
    """Processor and wall seconds of an interpreter that runs this."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  code of our own
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall
