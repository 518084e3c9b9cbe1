"""Knowledge that can be searched and cited.

`base` is the door; `ingest` brings documents in: `reading` looks at them, `conversion` has them read by
`loaders/` in a process of its own, `chunkers/` cut them; `watch` follows files; `manifest` knows what is
stored; `stores/` and `keyword` are the two legs, open in one process that `owner/` finds or is; `tenancy` and
`view` decide what a searcher sees; `verify` and `rebuild` keep the legs whole; `search` fuses them; `rerank`
puts hits in a better order; `cite` ties answers to passages; `evidence` finds the sentences that a question
is about.
Nothing heavy loads here: chromadb, tantivy and the loaders come with their first use.
"""

from stretto.knowledge.base import KnowledgeBase
from stretto.knowledge.cite import attribute
from stretto.knowledge.evidence import nearest_quotes
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.report import AddReport, Progress, RebuildReport, VerifyReport
from stretto.knowledge.rerank import Rerank, by_sentence

__all__ = [
    "AddReport",
    "IngestLimits",
    "KnowledgeBase",
    "Progress",
    "RebuildReport",
    "Rerank",
    "VerifyReport",
    "attribute",
    "by_sentence",
    "nearest_quotes",
]
