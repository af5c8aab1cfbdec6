"""The time of one call, in microseconds: the median of several rounds."""

import statistics
import time

ROUNDS, CALLS = 9, 400


def us_of(call):
    """Call it again and again."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            call()
        rounds.append(1e6 * (time.perf_counter() - began) / CALLS)
    return statistics.median(rounds)
