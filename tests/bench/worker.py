"""One contender in a process of its own, driven over its standard input and output, a line of JSON each way.

    python worker.py MODULE FUNCTION ARGUMENTS [CHOICES]

makes MODULE.FUNCTION(**ARGUMENTS), a function without arguments or a dict of them, and calls it until it is compiled.
It then answers the line SECONDS with {name: [seconds of each call]} from a block of calls that fills SECONDS. CHOICES,
a list of further arguments, makes one for each of them; the first block is then spent on keeping the fastest.
"""

import importlib
import json
import os
import sys
import time

SETTLE = 0.05  # seconds after which a BLAS's threads, which spin on after a product, have gone to sleep
WARM_UP = 3  # calls before the first that is timed


def block(function, seconds):
    function()
    times, began = [], time.perf_counter()
    while not times or time.perf_counter() < began + seconds:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def fastest(candidates):
    """The position of the one with the least median time."""
    times = [sorted(block(function, 0.3)) for function in candidates]
    return min(range(len(times)), key=lambda i: times[i][len(times[i]) // 2])


def main(module, function, arguments, choices="[{}]"):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to the standard error
    began = time.perf_counter()
    module, choices = importlib.import_module(module), json.loads(choices)
    candidates = [getattr(module, function)(**{**json.loads(arguments), **choice}) for choice in choices]
    for candidate in candidates:
        for run in candidate.values() if isinstance(candidate, dict) else [candidate]:
            stop = time.perf_counter() + 3  # a slow one is warm after its first call
            for _ in range(WARM_UP):
                if time.perf_counter() < stop:
                    run()

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    answer({"versions": module.versions(), "setup_seconds": time.perf_counter() - began})
    for line in sys.stdin:
        if len(candidates) > 1:
            best = fastest(candidates)
            candidates, choices = [candidates[best]], [choices[best]]
            answer({"choice": choices[0]})
            continue
        functions = candidates[0] if isinstance(candidates[0], dict) else {"": candidates[0]}
        times = {}
        for name, run in functions.items():
            time.sleep(SETTLE)
            times[name] = block(run, float(line))
        answer(times)


if __name__ == "__main__":
    main(*sys.argv[1:])
