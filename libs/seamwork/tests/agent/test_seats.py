"""How many functions compute at once, whatever they wait for and however they stop waiting."""

import asyncio

import pytest

from seamwork.agent.seats import Seat, Seats


class Room:
    """One seat, and how often it was said to be free."""

    def __init__(self) -> None:
        self.freed = 0
        self.seats = Seats(1, self._note)

    def _note(self) -> None:
        self.freed += 1

    def seated(self) -> Seat:
        """Return somebody who has the seat."""
        seat = Seat(self.seats)
        assert seat.take_at_once()
        return seat


async def given_up(seat: Seat) -> None:
    """Wait for what does not come, and give up."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await seat.while_waiting(asyncio.Event().wait())


async def test_who_gives_up_waiting_is_counted() -> None:
    """A function behind a time limit computes on; without its seat another one would begin beside it."""
    room = Room()
    one = room.seated()
    await given_up(one)
    beside = Seat(room.seats).take_at_once()
    one.leave()

    assert (False, True) == (beside, Seat(room.seats).take_at_once())


async def test_nobody_new_begins_while_those_who_gave_up_are_too_many() -> None:
    """Nor does anybody come back from waiting."""
    room = Room()
    one = room.seated()
    giving_up = asyncio.create_task(given_up(one))
    await asyncio.sleep(0)
    two = room.seated()
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    back = asyncio.create_task(two.while_waiting(answer))
    await asyncio.sleep(0)
    three = room.seated()
    await giving_up
    answer.set_result("here")
    three.leave()
    await asyncio.sleep(0.01)
    early = back.done(), Seat(room.seats).take_at_once()
    one.leave()

    assert ((False, False), "here") == (early, await back)
    two.leave()
    assert Seat(room.seats).take_at_once()


@pytest.mark.parametrize("error", [None, TimeoutError()], ids=["answered", "failed"])
async def test_who_has_left_takes_no_seat_again(error: Exception | None) -> None:
    """A task that a function left behind goes on waiting after it; nobody would give its seat back."""
    room = Room()
    one = room.seated()
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    behind = asyncio.create_task(one.while_waiting(answer))
    await asyncio.sleep(0)
    one.leave()
    if error is None:
        answer.set_result("too late")
    else:
        answer.set_exception(error)
    await asyncio.wait([behind])

    assert error is behind.exception()
    assert Seat(room.seats).take_at_once()


async def test_who_is_about_to_sit_down_takes_one_seat() -> None:
    """Another part of it that comes back meanwhile, from a wait of its own, needs none besides."""
    room = Room()
    one = room.seated()
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
    waiting = [asyncio.create_task(one.while_waiting(first))]
    await asyncio.sleep(0)
    two = room.seated()
    first.set_result(None)
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(one.while_waiting(second)))
    await asyncio.sleep(0)
    second.set_result(None)
    await asyncio.sleep(0)
    two.leave()
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
    one.leave()

    assert Seat(room.seats).take_at_once()
