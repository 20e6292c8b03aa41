"""Work that is done as soon as what it needs is done, side by side."""
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter


@dataclass(frozen=True)
class Step:
    name: str
    work: Callable[[], None]
    needs: Sequence[str] = ()
    seconds: float = 0.5
    """How long it takes, roughly."""


def carry_out(steps: Sequence[Step], at_once: int) -> None:
    """Carries out every step, `at_once` at a time; stops at the first failure.

    Of the steps that could be next, the one with the longest chain of work behind it comes first.
    """
    by_name = {step.name: step for step in steps}
    graph = TopologicalSorter({step.name: step.needs for step in steps})
    graph.prepare()
    chain = _seconds_to_the_end(by_name)
    waiting: list[str] = []
    running: dict[Future, str] = {}
    begun = time.monotonic()

    def timed(step: Step) -> None:
        start = time.monotonic()
        step.work()
        now = time.monotonic()
        print(f'{now - begun:6.1f} s  {step.name} ({now - start:.1f} s)', flush=True)

    with ThreadPoolExecutor(at_once) as threads:
        while graph.is_active():
            waiting = sorted([*waiting, *graph.get_ready()], key=chain.__getitem__, reverse=True)
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                running[threads.submit(timed, by_name[name])] = name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                name = running.pop(future)
                future.result()
                graph.done(name)


def _seconds_to_the_end(steps: dict[str, Step]) -> dict[str, float]:
    """From the start of each step to the end of all that waits for it, were there a core for each."""
    seconds = {name: step.seconds for name, step in steps.items()}
    dependents_first = reversed([*TopologicalSorter({name: step.needs for name, step in steps.items()}).static_order()])
    for name in dependents_first:
        for needed in steps[name].needs:
            seconds[needed] = max(seconds[needed], steps[needed].seconds + seconds[name])
    return seconds
