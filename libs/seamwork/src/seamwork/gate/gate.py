"""Turn a function that judges crossings into a gate, with a journal where it remembers something."""

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import Parameter, isawaitable, iscoroutinefunction, signature
from typing import NoReturn, TypeVar, cast

from seamwork.catalog import Context
from seamwork.decider import DECISIONS, Input, Output, asked_again, vote
from seamwork.documents.shape import NAME_PATTERN
from seamwork.documents.versions import VersionError, parse_version
from seamwork.errors import MisconfiguredError
from seamwork.gate.asking import Asking, Question
from seamwork.gate.crossing import Crossing
from seamwork.gate.opinion import Opinion
from seamwork.gate.remembering import Follower, Remembering
from seamwork.gate.remembering import Judge as Rememberer
from seamwork.runtime.run import run
from seamwork.runtime.spec import HANDOFFS, GateSpec, MachineSpec, Service, Site
from seamwork.settings.environment import ServiceSettings

Judge = Callable[[Crossing], Opinion]
"""What an author writes: it looks at nothing but the crossing, so the same crossing is judged alike each time."""
Inquirer = Callable[[Crossing], Awaitable[Opinion]]
"""The same where it asks somebody else: a model, a service. What it said first counts, whatever it says later."""
J = TypeVar("J", bound=Judge | Inquirer | Rememberer)
F = TypeVar("F", bound=Follower)

_EX_CONFIG = 78  # sysexits.h
_MOST = 500


class _Settings(ServiceSettings, frozen=True, kw_only=True):
    """A gate of one's own has no settings but those that every service has."""


class Gate:
    """
    A gate of one's own.

    Args:
        name: As in its ``Gate`` document.
        version: Of the program; verdicts name it.
        at_once: How many crossings an async function is asked about at a time.
        within_s: How long it may take for one, in seconds; then it has refused. The router waits for the deadline
            that the ``Gate`` document says, and for no longer.

    Raises:
        MisconfiguredError: No gate can be called so, the version is none, or it could never be asked.
    """

    def __init__(self, name: str, version: str, *, at_once: int = 16, within_s: float = 30.0) -> None:
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise MisconfiguredError(
                f"no gate can be called {name!r}; lower-case letters, digits and hyphens"
            )
        try:
            parse_version(version)
        except VersionError as error:
            raise MisconfiguredError(f"gate {name} has no version {version!r}: {error}") from error
        if at_once < 1 or not within_s > 0:
            raise MisconfiguredError(f"gate {name}: at_once and within_s are more than 0")
        self.name = name
        self.version = version
        self._at_once = at_once
        self._within_s = within_s
        self._judge: Judge | Inquirer | Rememberer | None = None
        self._follow: Follower | None = None

    def judges(self, judge: J) -> J:
        """
        Decorate the function that judges: async where it asks somebody else, with a `Memory` where it remembers.

        Raises:
            MisconfiguredError: There is one already; or it is async and wants a memory, which is changed by what
                is said in the order of the log and not by who answers first.
        """
        if self._judge is not None:
            raise MisconfiguredError(
                f"gate {self.name} is judged by {self._judge.__name__}; a gate has one judge"
            )
        if iscoroutinefunction(judge) and _remembers(judge):
            raise MisconfiguredError(
                f"gate {self.name}: `{judge.__name__}` is async and takes a memory, and cannot do both: what is "
                "remembered follows the order of the log. Make it a plain function, or two gates"
            )
        self._judge = judge
        return judge

    def follows(self, follow: F) -> F:
        """
        Decorate a function that notes what the router decided of what was judged.

        Raises:
            MisconfiguredError: There is one already.
        """
        if self._follow is not None:
            raise MisconfiguredError(
                f"gate {self.name} follows decisions by {self._follow.__name__}; one function does"
            )
        self._follow = follow
        return follow

    def run(self, environ: Mapping[str, str] | None = None) -> NoReturn:
        """Run until SIGTERM or SIGINT; a program's last line. `seamwork gates run` says where, and as whom."""
        given = os.environ if environ is None else environ
        if "KAFKA_BOOTSTRAP_SERVERS" not in given:
            sys.stderr.write(
                f"{self.name}: nothing says where the platform is; start it with "
                f"`seamwork gates run {self.name} -- COMMAND`\n"
            )
            raise SystemExit(_EX_CONFIG)
        run(self.service, given)

    @property
    def service(self) -> Service[_Settings]:
        """What the runtime runs."""
        return Service(
            name=self.name,
            settings=_Settings,
            build=self._build,
            reads=(HANDOFFS, DECISIONS),
            writes=("verdicts.{gate}.v1",),
            version=self.version,
        )

    def _build(self, settings: _Settings, site: Site) -> GateSpec | MachineSpec:
        del settings
        return self.part(site)

    def part(self, site: Site) -> GateSpec | MachineSpec:
        """
        Return the gate without its surroundings: what it reads, and what it says of each record.

        Args:
            site: The platform, by which a gate with a memory holds signatures and places.

        Raises:
            MisconfiguredError: Nothing judges, or it follows decisions without remembering anything.
        """
        if self._judge is None:
            raise MisconfiguredError(
                f"gate {self.name} has no judge; decorate a function with `@gate.judges`"
            )
        asking = Asking(self.name, self.version)
        if _remembers(self._judge):
            return Remembering(asking, cast("Rememberer", self._judge), self._follow, site).spec
        if self._follow is not None:
            raise MisconfiguredError(
                f"gate {self.name} follows decisions and has nowhere to note them: "
                f"`{self._judge.__name__}` takes no memory. Write `def {self._judge.__name__}(crossing, memory)`"
            )
        return self._without_memory(asking, cast("Judge | Inquirer", self._judge))

    def _without_memory(self, asking: Asking, judge: Judge | Inquirer) -> GateSpec:
        async def inquire(given: Input, context: Context) -> Sequence[Output]:
            asked = asking.asked_for(given, context)
            if isinstance(asked, Question):
                asked = asking.verdict(asked, await self._inquired(asking, judge, asked.crossing), context)
            return () if asked is None else (vote(asked),)

        def decide(given: Input, context: Context) -> Sequence[Output]:
            asked = asking.asked_for(given, context)
            if isinstance(asked, Question):
                asked = asking.verdict(asked, asking.judged(judge, asked.crossing), context)
            return () if asked is None else (vote(asked),)

        waits = iscoroutinefunction(judge)
        return GateSpec(
            name=self.name,
            decide=decide,
            inquire=inquire if waits else None,
            at_once=self._at_once,
            max_batch=self._at_once if waits else _MOST,
            unhurried=(DECISIONS,),
            needs_crossing=asked_again(self.name),
        )

    async def _inquired(self, asking: Asking, judge: Judge | Inquirer, crossing: Crossing) -> Opinion:
        try:
            async with asyncio.timeout(self._within_s):
                asked = judge(crossing)
                found: object = await asked if isawaitable(asked) else asked
        except Exception as error:  # noqa: BLE001  # whatever it is, it was no opinion
            return asking.failed(crossing.id, error)
        return asking.checked(crossing, found)


def _remembers(judge: Callable[..., object]) -> bool:
    """Say whether a function takes a memory besides the crossing."""
    by_place = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    known = signature(judge).parameters.values()
    return len([one for one in known if one.kind in by_place and one.default is one.empty]) > 1
