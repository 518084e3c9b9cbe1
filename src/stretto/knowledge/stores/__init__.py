"""Where vectors are kept.

`protocol` says what a store does; `registry` names the stores; one module an adapter: `chroma`, `memory`.
"""
