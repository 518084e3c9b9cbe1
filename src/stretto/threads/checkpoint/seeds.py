"""`seeds`: which earlier checkpoints langgraph's DeltaChannels are put together from. Knows no serializer."""

from stretto.threads.checkpoint import rows
from stretto.threads.checkpoint.packed import Packed
from stretto.threads.database import Connection


def seeds(connection: Connection, thread_id: str, packed: Packed) -> set[tuple[str, str]]:
    """The ancestors (namespace, id) from which the DeltaChannels of the tips are put together."""
    needed: set[tuple[str, str]] = set()
    namespaces = connection.execute(
        "SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE thread_id = ?", (thread_id,)
    )
    for (namespace,) in namespaces.fetchall():
        row = connection.execute(rows.LATEST, (thread_id, namespace)).fetchone()
        missing = set(rows.about_of(row[6], thread_id).get("counters_since_delta_snapshot") or ())
        while row and missing and row[3]:
            row = connection.execute(rows.ONE, (thread_id, namespace, row[3])).fetchone()
            if row:
                needed.add((namespace, row[2]))
                missing -= packed.value("checkpoints", thread_id, *row[4:])["channel_values"].keys()
    return needed
