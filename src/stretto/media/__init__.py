"""Media: pictures, recordings and documents, checked once at the door and then passed on by reference.

`intake.take_in` checks and stores what a message brings; `stores` names the places that keep it by content
(`store`, `sqlite`, `objects`), `references` counts who holds it; `resolve.resolve` makes
it inline for a model; `fetch.fetch` is the URL client; `pictures`, `recordings`, `papers` and `kinds` look at
content; `limits` and `tokens` are numbers. Pillow and the network load with the first use.
"""

from stretto.media.intake import take_in
from stretto.media.limits import MediaLimits
from stretto.media.store import DirectoryStore, MediaStore

__all__ = ["DirectoryStore", "MediaLimits", "MediaStore", "take_in"]
