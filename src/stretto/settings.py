"""Settings that travel through calls: how a model is asked, how much a run may use. Reads no file."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from stretto._internal.plain import Plain


class ModelSettings(Plain, frozen=True, forbid_unknown_fields=True):
    """How a model is asked. None leaves the choice to the endpoint."""

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tool_choice: Literal["auto", "none", "required"] | str | None = None
    """`auto`: the model decides; `none`; `required`: some tool; else the name of one tool."""
    timeout: float = 120.0
    """Seconds for the whole call."""
    first_token: float | None = None
    """Seconds until the first content; None: as long as the whole call may take."""
    idle: float | None = None
    """Seconds between two pieces of content; None: as long as the whole call may take."""
    tier: int | None = None
    """The tier at which a pool begins; 0, the cheapest, where None. Nothing to a model alone."""
    extra: dict[str, Any] = {}
    """Fields passed to the endpoint as they are."""

    def merged(self, other: "ModelSettings | None") -> "ModelSettings":
        """These settings, with those of `other` that are not the default put over them."""
        if other is None or other == _DEFAULT:
            return self
        if self == _DEFAULT:
            return other
        mine, theirs = self._asdict(), other._asdict()
        return ModelSettings(
            **{name: theirs[name] if theirs[name] != getattr(_DEFAULT, name) else mine[name] for name in mine}
        )


_DEFAULT = ModelSettings()


class Limits(Plain, frozen=True, forbid_unknown_fields=True):
    """How much one run may use; None is without a limit."""

    steps: Annotated[int, Meta(ge=1)] = 50
    """Supersteps of the graph."""
    tokens: Annotated[int, Meta(ge=1)] | None = None
    """Input plus output tokens of all model calls."""
    seconds: Annotated[float, Meta(gt=0)] | None = None
    """Wall time."""
