"""Knowledge that can be searched and cited.

`base` is the door; `ingest` brings documents in: `reading` looks at them, `conversion` has them read by
`loaders/` in a process of its own, `chunkers/` cut them; `watch` follows files; `manifest` knows what is
stored; `stores/` and `keyword` are the two legs, open in one process that `owner/` finds or is; `tenancy`
and `view` decide what a searcher sees; `upkeep` keeps a base whole, by `verify` and `rebuild`, and moves it
by `portable`. `search` asks as `options` say, `fusion` makes one score of both legs, `filters` and `allowed`
keep to what may be found, `around` adds neighbours; `rerank` puts hits in a better order; `cite` ties answers
to passages, `check` believes no citation, `earlier` keeps what was cited; `evidence` finds the sentences that
a question is about; `beir` reads collections that search is measured on.
Nothing heavy loads here: chromadb, tantivy and the loaders come with their first use.
"""

from stretto.knowledge.base import KnowledgeBase
from stretto.knowledge.check import Checked, Entails, Fault, check_citation
from stretto.knowledge.cite import attribute
from stretto.knowledge.evidence import answerable, nearest_quotes
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.options import Expand
from stretto.knowledge.report import AddReport, Progress, RebuildReport, VerifyReport
from stretto.knowledge.rerank import Rerank, by_sentence

__all__ = [
    "AddReport",
    "Checked",
    "Entails",
    "Expand",
    "Fault",
    "IngestLimits",
    "KnowledgeBase",
    "Progress",
    "RebuildReport",
    "Rerank",
    "VerifyReport",
    "answerable",
    "attribute",
    "by_sentence",
    "check_citation",
    "nearest_quotes",
]
