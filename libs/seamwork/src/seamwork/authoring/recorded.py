"""Read from a platform what crossed before, as the samples of a contract to be."""

from typing import Any

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog, crosses_under
from seamwork.contracts.compiled import compile_contract
from seamwork.contracts.payload import PayloadError, read_payload
from seamwork.errors import UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.whole import whole
from seamwork.records.crossing import Handoff, Result
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.partition import partition_of
from seamwork.records.wire import Received, read

_AT_ONCE = 2_000
_READER = "audit-sink"  # it may read every topic; what it reads here is shown to nobody but the author


class Crossed:
    """What crossed of one step of a task: its handoffs, and their successful answers, by the handoffs' ids."""

    def __init__(self, step: str) -> None:
        self.steps: set[str] = set()
        self._step = step
        self._asked: dict[str, Received[Any]] = {}
        self._answered: dict[str, Received[Any]] = {}

    def take(self, received: Received[Any]) -> None:
        """Take the next record of the task."""
        match received.record:
            case Handoff(id=identity, step=step):
                self.steps.add(step)
                if step == self._step:
                    self._asked.setdefault(identity, received)
            case Result(outcome="success", parent=parent) if parent in self._asked:
                self._answered.pop(parent, None)
                self._answered[parent] = received

    def last(self) -> tuple[Received[Any] | None, Received[Any] | None]:
        """Return the handoff that was answered last and its answer, else the last handoff."""
        identity = next(reversed(self._answered or self._asked), "")
        return self._asked.get(identity), self._answered.get(identity)


async def recorded(door: Door, task: str, step: str) -> tuple[Any, Any | None]:
    """
    Return the payload of a task's handoff, and of its successful answer where there is one.

    Of several handoffs of the step the last one that was answered counts, else the last one.

    What the contract hides under which they crossed is ``***``.

    Raises:
        UnprocessableError: The log has no handoff of this task and step, or its payload is not JSON.
    """
    place = Partition("handoffs.v1", partition_of(task.encode(), door.identity.partitions))
    crossed = Crossed(step)
    async with door.log(_READER) as log:
        async for raw in whole(log, [place]):
            received = read(raw, door.identity.id)
            if isinstance(received, Received) and received.key == task:
                crossed.take(received)
    asked, answered = crossed.last()
    if asked is None:
        known = ", ".join(sorted(crossed.steps)) or "none; is the task's id right?"
        raise UnprocessableError(f"task {task} has no handoff of the step {step}; its steps: {known}")
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    try:
        answer = None if answered is None else masked(catalog, answered, "success")
        return masked(catalog, asked, "input"), answer
    except (ValueError, PayloadError) as error:
        raise UnprocessableError(f"what crossed in step {step} of task {task} is not JSON") from error


def masked(catalog: Catalog, received: Received[Any], on: str) -> Any:
    """
    Return the payload of a handoff, or of a result, without what its contract hides.

    Raises:
        PayloadError: It cannot be read.
    """
    contract = catalog.contract(crosses_under(catalog, received.record, received.raw.appended_at))
    payload = read_payload(received.payload, len(received.payload))
    # Traffic that no contract describes is what one is drafted for; nothing of it is marked yet.
    return payload if contract is None else compile_contract(contract).masked(received.payload, on)


async def recorded_crossings(door: Door, most: int) -> list[Received[AnyEnvelope]]:
    """Return the latest *most* records of ``handoffs`` and of ``decisions``, as far as they can be read."""
    found: list[Received[AnyEnvelope]] = []
    async with door.log(_READER) as log:
        for topic in ("handoffs.v1", "decisions.v1"):
            places = [Partition(topic, number) for number in range(door.identity.partitions)]
            starts, ends = await log.start_offsets(places), await log.end_offsets(places)
            each = max(1, most // len(places))
            for place in places:
                begin = max(starts[place], ends[place] - each)
                for start in range(begin, ends[place], _AT_ONCE):
                    raws = await log.read(place, start, min(start + _AT_ONCE, ends[place]))
                    read_here = (read(raw, door.identity.id) for raw in raws)
                    found += [one for one in read_here if isinstance(one, Received)]
    return found
