"""Counts that the tasks of a pass leave on the driver, in the bins of a model's reference: nothing is read twice."""

from pyspark import Accumulator, AccumulatorParam, SparkContext, TaskContext

from meterlake.anomaly.drift import Ints, Reference

Counted = Accumulator[dict[int, Ints]]


class ByTask(AccumulatorParam[dict[int, Ints]]):
    """Counts by partition: those of a task that runs twice are the same, and count once."""

    def zero(self, value: dict[int, Ints]) -> dict[int, Ints]:
        return {}

    def addInPlace(self, value1: dict[int, Ints], value2: dict[int, Ints]) -> dict[int, Ints]:
        return value1 | value2


def counted_by_task(context: SparkContext) -> Counted:
    """Where the tasks of one pass leave their counts; `total` adds them up."""
    return context.accumulator({}, ByTask())


def leave(counted: Counted | None, counts: Ints | None) -> None:
    """What a task does last, where there is something to count; or the driver, where it does all the work."""
    if counted and counts is not None:
        task = TaskContext.get()
        counted.add({task.partitionId() if task else 0: counts})


def total(counted: Counted, reference: Reference) -> Ints:
    """The rows in each bin of the reference, over all tasks that have ended."""
    return sum(counted.value.values(), start=reference.nothing)
