"""What a run consumed: tokens, calls and what they cost. Knows no prices."""

from stretto._internal.plain import Plain


class Usage(Plain, frozen=True):
    """Tokens and calls of one model call or of a whole run. Add two with `+`."""

    input_tokens: int = 0
    """Tokens read, cached ones included."""
    output_tokens: int = 0
    """Tokens written, reasoning included."""
    cached_tokens: int = 0
    """Those of the input that came from the endpoint's cache."""
    reasoning_tokens: int = 0
    """Those of the output that were reasoning."""
    calls: int = 0
    """Model calls."""
    cost: float = 0.0
    """USD, where prices are known; see `prices:` of agent.yaml."""

    @property
    def total_tokens(self) -> int:
        """Input plus output."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """The sum, field by field."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.calls + other.calls,
            self.cost + other.cost,
        )
