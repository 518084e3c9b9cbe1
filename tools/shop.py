"""The tools of the support desk over a small sqlite database: order status, stock, and opening a return.

The database is made from `shop.sql` on first use, in `.stretto/shop.sqlite` of the project that holds this
file. Answers are full sentences, because the model repeats them to the customer. This file knows neither
models nor agents.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stretto import tool
from stretto.errors import ToolError

DATABASE = Path(__file__).resolve().parents[1] / ".stretto" / "shop.sqlite"
SCRIPT = Path(__file__).resolve().with_name("shop.sql")
MOST_PRODUCTS = 5

_STATUS = {
    "waiting for payment": "is waiting for the payment. We reserve the goods until {day}.",
    "waiting for stock": "is waiting for new stock, which we expect on {day}.",
    "packed": "is packed and leaves our warehouse with {carrier} on {day}.",
    "shipped": "was shipped with {carrier}. The delivery is expected on {day}.",
    "ready": "is ready to be collected in the main shop. We keep it until {day}.",
    "delivered": "was delivered by {carrier} on {day}.",
    "cancelled": "was cancelled on {day}. Nothing will be sent.",
}


@contextmanager
def _shop() -> Iterator[sqlite3.Connection]:
    """A connection whose writes are kept if the block ends well. Makes the database where there is none."""
    DATABASE.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(DATABASE, timeout=20)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'returns'").fetchone():
            # The script takes the write lock first: of two processes one makes the tables, the other waits.
            connection.executescript(SCRIPT.read_text(encoding="utf-8"))
        with connection:
            yield connection


def _order(connection: sqlite3.Connection, order_id: str) -> sqlite3.Row:
    """The row of one order. Takes `FC-1042`, `fc 1042`, `#1042` and `1042`."""
    number = re.search(r"\d+", order_id)
    row = connection.execute(
        "SELECT orders.*, products.name FROM orders JOIN products USING (sku) WHERE orders.id = ?",
        (f"FC-{number.group()}" if number else "",),
    ).fetchone()
    if row is None:
        raise ToolError(
            f"There is no order `{order_id}`. An order number looks like FC-1042 and stands in the "
            "confirmation email. Ask the customer to check the number."
        )
    return row


@tool
def order_status(order_id: str) -> str:
    """Tell where an order is: its status, its carrier and the day of delivery or collection.

    Args:
        order_id: The order number that the customer wrote: two letters, a dash, four digits.
    """
    with _shop() as connection:
        order = _order(connection, order_id)
    what = f"Order {order['id']} ({order['quantity']} x {order['name']})"
    return f"{what} {_STATUS[order['status']].format(carrier=order['carrier'], day=order['day'])}"


@tool
def check_stock(product: str) -> str:
    """Tell how many pieces of a product are in stock now, and its price.

    Args:
        product: The product's name, or a part of it, or its article number, as the customer wrote it.
    """
    with _shop() as connection:
        rows = connection.execute("SELECT * FROM products ORDER BY name").fetchall()
    found = _matches(product, rows)
    if not found:
        raise ToolError(
            f"No product matches `{product}`. Use one or two words of its name, for example `helmet`."
        )
    return "\n".join(_stock(row) for row in found[:MOST_PRODUCTS])


def _matches(product: str, rows: list[sqlite3.Row]) -> list[sqlite3.Row]:
    """The products that share the most words with `product`; short words must match whole."""
    words = [
        word.removesuffix("s") if len(word) > 3 else word for word in re.findall(r"[\w-]+", product.lower())
    ]
    scored = []
    for row in rows:
        text = f"{row['name']} {row['sku']}".lower()
        parts = text.split()
        scored.append(sum(word in parts or (len(word) > 2 and word in text) for word in words))
    best = max(scored, default=0)
    return [row for row, score in zip(rows, scored, strict=True) if best and score == best]


def _stock(row: sqlite3.Row) -> str:
    what = f"{row['name']} (article {row['sku']}, {row['price']:.2f} euros)"
    if row["stock"]:
        return f"{what} is in stock: {row['stock']} pieces."
    return f"{what} is out of stock. New stock arrives on {row['restock']}."


@tool(effect="once")
def open_return(order_id: str, reason: str) -> str:
    """Open a return for a delivered order and give the customer the return number.

    Args:
        order_id: The order number that the customer wrote: two letters, a dash, four digits.
        reason: Why the customer sends the goods back, in a few words.
    """
    with _shop() as connection:
        order = _order(connection, order_id)
        if order["status"] != "delivered":
            raise ToolError(
                f"Order {order['id']} has not been delivered (its status is: {order['status']}), so no "
                "return can be opened yet."
            )
        number = order["id"].replace("FC-", "RT-")
        added = connection.execute(
            "INSERT OR IGNORE INTO returns (id, order_id, reason) VALUES (?, ?, ?)",
            (number, order["id"], reason),
        ).rowcount
    if not added:
        return f"A return is already open for order {order['id']}: {number}. Write it on the box."
    return f"The return {number} is open for order {order['id']} ({order['name']}). Write it on the box."
