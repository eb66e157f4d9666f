"""What became of every tensor of a checkpoint and of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from gcpose_trt.errors import GcposeError

SHOWN = 3  # names that an error message spells out


class CheckpointError(GcposeError):
    """A checkpoint that does not fit.

    Attributes:
        listing: one line for each name that did not match, for those who want all of them.
    """

    def __init__(self, message: str, listing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.listing = tuple(listing)


@dataclass
class Conversion:
    """A checkpoint under our names, before it meets the network."""

    family: str  # where the names come from, for people to read
    backbone: str  # of the network they were trained with, as `ModelConfig.backbone`
    weights: dict[str, Tensor] = field(default_factory=dict)  # our name: value
    ignored: list[str] = field(default_factory=list)  # their names that have no place here, knowingly
    unknown: list[str] = field(default_factory=list)  # their names that nobody expected
    initialised: tuple[str, ...] = ()  # prefixes of our names that may keep their initial weights
    notes: list[str] = field(default_factory=list)  # whatever the user should know


@dataclass(frozen=True)
class LoadReport:
    """The account of `load_checkpoint`: every tensor of both sides is in exactly one of the three lists."""

    family: str
    loaded: tuple[str, ...]  # our names that were set
    initialised: tuple[str, ...]  # our names that keep the weights they had
    ignored: tuple[str, ...]  # names of the checkpoint that have no place in the network
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return a few lines for people: counts, and the parts of the network that were not loaded."""
        lines = [
            f"{self.family}: {len(self.loaded)} tensors loaded, {len(self.initialised)} left as they were, "
            f"{len(self.ignored)} of the checkpoint not used"
        ]
        if self.initialised:
            lines.append(f"left as they were: {', '.join(_parts(self.initialised))}")
        return "\n".join([*lines, *self.notes])

    def listing(self) -> list[str]:
        """Return one line a tensor."""
        return [
            *(f"loaded       {name}" for name in self.loaded),
            *(f"initialised  {name}" for name in self.initialised),
            *(f"ignored      {name}" for name in self.ignored),
        ]


def _parts(names: Sequence[str]) -> list[str]:
    """Return the modules, two names deep, that `names` belong to, with the number of tensors in each."""
    counts: dict[str, int] = {}
    for name in names:
        part = ".".join(name.split(".")[:-1][:2]) or name
        counts[part] = counts.get(part, 0) + 1
    return [f"{part} ({count})" for part, count in counts.items()]


def shorten(names: Sequence[str]) -> str:
    """Return the first few of `names` and how many more there are."""
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
