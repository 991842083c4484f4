"""
Read decisions written down as YAML, and hold a machine to them.

A case says: after this history, given this record, exactly these events follow. Its file name is the law that it
shows. What stands in a case::

    about: why this must be so                      # one sentence for the reader, optional
    catalog: [{kind: Budget, name: b, spec: {…}}]   # documents in force; a text names a file beside the cases
    activations: [{of: Contract/c@1.0.0, status: deprecated, successor: 2.0.0, ends_at: 5}]   # of those not active
    now: 1_000_500                                  # the instant of `when` (ms); 1_000_000 unless said
    given: [{reserved: {…}}]                        # events that the machine remembers
    before: [{handoff: {…}}]                        # inputs that it was given before, at 1_000_000 or a `now`
    when: {handoff: {id: h-1, at: 0/5, …}}          # the input: a record's tag, or malformed, tick, …
    then: [{verdict-given: {outcome: DENY, …}}]     # the events, all of them in order
    outputs: [{publish: {topic: …, record: {verdict: {…}}}}]  # optional: the records that follow
    state: {…}                                      # optional: what is remembered afterwards

Inputs are built by ``seamwork.testing.builders``: only what the case is about is named. Of events, outputs and
state the fields that are named must be equal; an event more or less is a failure. ``with-crossing`` takes
``decision``, ``crossing`` and what lies ``behind`` it, ``tick`` nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from ruamel.yaml import YAML

from seamwork.catalog import Catalog, Context
from seamwork.catalog.entries import Activation
from seamwork.decider import (
    CatalogChanged,
    Decider,
    Forward,
    HealthChanged,
    Input,
    Output,
    Publish,
    SetAside,
    Tick,
    Undeliverable,
    WithCrossing,
    read_all,
)
from seamwork.records.envelope import AnyEnvelope
from seamwork.testing.builders import DEFAULTS, NOW, envelope, malformed, received
from seamwork.testing.documents import documents_of
from seamwork.testing.shorthand import spelled_out

_KNOWN = {"about", "catalog", "now", "given", "activations", "before", "when", "then", "outputs", "state"}
_APART = {"of", "before"}
_BODIED: dict[str, type[CatalogChanged | HealthChanged | Undeliverable]] = {
    "catalog-changed": CatalogChanged,
    "health-changed": HealthChanged,
    "undeliverable": Undeliverable,
}


@dataclass(frozen=True)
class Case:
    """One decision as data; ``str`` of it is the law."""

    name: str
    path: Path
    data: Mapping[str, Any] = field(repr=False)

    def __str__(self) -> str:
        """Return the law: the file's name."""
        return self.name

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog in which all documents of the case are in force."""
        told = dict(map(_activation, self.data.get("activations", ())))
        return Catalog.of(documents_of(self.data.get("catalog", ()), self.path.parent), told)

    @property
    def now(self) -> int:
        """The instant of the decision (ms)."""
        return int(self.data.get("now", NOW))

    def context(self, now: int | None = None) -> Context:
        """Return what the decision is given besides the input."""
        return Context(now=self.now if now is None else now, catalog=self.catalog)

    @property
    def when(self) -> Input:
        """The input decided on."""
        return input_of(self.data["when"])

    def state_before(self, decider: Decider[Any, Any, Any, Any]) -> Any:
        """Return what is remembered when ``when`` comes: ``given`` folded, then ``before`` lived through."""
        state = decider.fold(event_of(one, decider.event_type) for one in self.data.get("given", ()))
        for one in self.data.get("before", ()):
            now = one.get("now", min(NOW, self.now))
            written = {name: value for name, value in one.items() if name != "now"}
            state, _, _ = decider.step(state, input_of(written), self.context(now))
        return state

    def check(self, decider: Decider[Any, Any, Any, Any]) -> None:
        """
        Hold *decider* to the case.

        Raises:
            AssertionError: What was to follow and what did, each by the fields that the case names.
        """
        state = self.state_before(decider)
        remembered = _remembered(state)
        events = tuple(decider.decide(state, self.when, self.context()))
        assert remembered == _remembered(state), "decide changed the state"  # noqa: S101  # what the runner is for
        _compare("then", self._expected_events(decider.event_type), [_seen_event(event) for event in events])
        if "outputs" in self.data:
            outputs = [output for event in events for output in decider.outputs(event)]
            wanted = [_expected_output(one) for one in self.data["outputs"]]
            _compare("outputs", wanted, [_seen_output(output) for output in outputs])
        if "state" in self.data:
            after = msgspec.json.decode(_remembered(decider.fold(events, state)))
            _compare("state", spelled_out(decider.state_type, self.data["state"]), after)

    def _expected_events(self, event_type: Any) -> list[dict[str, Any]]:
        expected = []
        for one in self.data.get("then", ()):
            tag, fields = _only(one)
            expected.append({"type": tag, **_spelled(_member(event_type, tag), fields)})
        return expected


def load_cases(place: str | Path) -> list[Case]:
    """
    Read the cases of a service, sorted by name.

    Args:
        place: The folder with the cases, or a file of the service's tests (``__file__``), beside whose folder
            ``cases`` lies.
    """
    path = Path(place)
    folder = path.parent.parent / "cases" if path.is_file() else path
    cases = [_load(one) for one in sorted(folder.glob("*.yaml"))]
    if not cases:
        message = f"{folder}: there are no cases; a case is a file such as denies_what_no_budget_covers.yaml"
        raise ValueError(message)
    return cases


def input_of(written: Mapping[str, Any]) -> Input:
    """Build the input that a case writes as ``{tag: fields}``."""
    tag, given = _only(written)
    fields = dict(given or {})
    if tag == "malformed":
        return malformed(**fields)
    if tag == "tick":
        return Tick(**fields)
    if tag in _BODIED:
        kind = _BODIED[tag]
        return msgspec.convert(spelled_out(kind, fields), kind)
    if tag == "with-crossing":
        decision, crossing = input_of(fields["decision"]), input_of(fields["crossing"])
        behind = tuple(map(input_of, fields.get("behind", ())))
        return WithCrossing(decision=decision, crossing=crossing, behind=behind)  # type: ignore[arg-type]  # records
    if tag not in DEFAULTS:
        known = ", ".join([*DEFAULTS, "malformed", "tick", "with-crossing", *_BODIED])
        message = f"{tag!r} is no input; there are {known}"
        raise ValueError(message)
    return received(tag, **fields)


def event_of(written: Mapping[str, Any], event_type: Any) -> Any:
    """Build the event that a case writes as ``{tag: fields}``."""
    tag, fields = _only(written)
    struct = _member(event_type, tag)
    whole = {name: _whole(value) if _is_record(value) else value for name, value in (fields or {}).items()}
    return msgspec.convert(_spelled(struct, whole), struct)


def _load(path: Path) -> Case:
    data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    unknown = set(data) - _KNOWN
    if unknown or "when" not in data or "then" not in data:
        message = f"{path.name}: a case has `when` and `then`, and may have {', '.join(sorted(_KNOWN))}"
        raise ValueError(f"{message}; unknown: {', '.join(sorted(unknown)) or 'none'}")
    return Case(path.stem.replace("_", " "), path, data)


def _activation(written: Mapping[str, Any]) -> tuple[tuple[str, str, str], tuple[Activation, ...]]:
    """Read what became of one version: active from the start, then *before* if it is given, then what is said."""
    kind, _, rest = str(written["of"]).partition("/")
    name, _, version = rest.partition("@")
    said = [
        written.get("before", {"status": "active"}),
        {k: v for k, v in written.items() if k not in _APART},
    ]
    told = (Activation(**{"mode": None, "from_at": at, "order": at, **one}) for at, one in enumerate(said))
    return (kind, name, version), tuple(told)


def _only(written: Mapping[str, Any]) -> tuple[str, Any]:
    if len(written) != 1:
        message = f"one tag with its fields is expected, found {', '.join(written)}"
        raise ValueError(message)
    return next(iter(written.items()))


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    yield from get_args(kind) or (kind,)


def _member(event_type: Any, tag: str) -> type[msgspec.Struct]:
    known = {str(struct.__struct_config__.tag): struct for struct in _structs(event_type)}
    if tag not in known:
        message = f"the machine has no event {tag!r}; there are {', '.join(sorted(known))}"
        raise ValueError(message)
    return known[tag]


def _spelled(struct: type[msgspec.Struct], fields: Mapping[str, Any] | None) -> dict[str, Any]:
    hints = get_type_hints(struct)
    unknown = set(fields or {}) - set(hints)
    if unknown:
        message = f"{struct.__name__} has no field {', '.join(sorted(unknown))}; it has {', '.join(hints)}"
        raise ValueError(message)
    return {
        name: _record(value) if _is_record(value) else spelled_out(hints[name], value)
        for name, value in (fields or {}).items()
    }


def _is_record(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in DEFAULTS


def _whole(written: Mapping[str, Any]) -> msgspec.Struct:
    """Make the whole record, defaults and all, that ``{verdict: {…}}`` stands for in the history."""
    tag, fields = _only(written)
    return envelope(tag, **(fields or {}))


def _record(written: Mapping[str, Any]) -> dict[str, Any]:
    """Spell out ``{verdict: {…}}`` where an event or output carries a whole record."""
    tag, fields = _only(written)
    struct = _member(AnyEnvelope, tag)
    return {"type": tag, **_spelled(struct, fields)}


def _seen_event(event: msgspec.Struct) -> dict[str, Any]:
    seen = {name: _full(getattr(event, name)) for name in event.__struct_fields__}
    return {"type": event.__struct_config__.tag, **seen}


def _full(value: Any) -> Any:
    """Return plain data with every field there, also those left out on the wire because they have their default."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {} if config.tag is None else {config.tag_field or "type": config.tag}
        return {**tag, **{name: _full(getattr(value, name)) for name in value.__struct_fields__}}
    if isinstance(value, Mapping):
        return {str(name): _full(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_full(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(_full(item) for item in value)
    return value


def _expected_output(written: Mapping[str, Any]) -> dict[str, Any]:
    kind, fields = _only(written)
    hints = {
        name: hint for output in (Publish, Forward, SetAside) for name, hint in get_type_hints(output).items()
    }
    spelled = {
        name: _record(value) if _is_record(value) else spelled_out(hints[name], value)
        for name, value in fields.items()
    }
    return {"output": kind, **spelled}


def _seen_output(output: Output) -> dict[str, Any]:
    kind = {Publish: "publish", Forward: "forward", SetAside: "set-aside"}[type(output)]
    return {"output": kind, **{name: _full(getattr(output, name)) for name in output.__slots__}}


def _projected(wanted: Any, seen: Any) -> Any:
    """Return of *seen* what *wanted* speaks of, so that the two can be compared and a difference reads well."""
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        if not wanted:
            return dict(seen)
        return {
            name: _projected(wanted[name], seen[name]) if name in seen else "(not there)" for name in wanted
        }
    if isinstance(wanted, Sequence) and isinstance(seen, Sequence) and not isinstance(wanted, str):
        pairs = [_projected(one, other) for one, other in zip(wanted, seen, strict=False)]
        return [*pairs, *seen[len(pairs) :]]
    return seen


def _remembered(state: Any) -> bytes:
    read_all(state)  # what is asked for while deciding is read, which is no change
    return msgspec.json.encode(state, order="deterministic")


def _compare(what: str, wanted: Any, seen: Any) -> None:
    projected = _projected(wanted, seen)
    if wanted != projected:
        message = f"{what}\nexpected: {_lines(wanted)}\nseen:     {_lines(projected)}"
        raise AssertionError(message)


def _lines(value: Any) -> str:
    rows = value if isinstance(value, list) else [value]
    return "\n          ".join(str(row) for row in rows) or "nothing"
