"""Writes the files in schemas/ from the types that read agent.yaml and stretto.yaml. A test compares them."""

import json
from pathlib import Path

from stretto.agent.schemas import schemas


def main() -> None:
    """Writes each schema."""
    folder = Path(__file__).resolve().parents[1] / "schemas"
    folder.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / f"{name}.schema.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
