"""Models that run on this machine: catalogue, cache and pull, chat, embeddings, pictures, speech.

Import the module you need; each loads its own heavy packages and no other:
`pull` and `cache` for files, `chat`, `embeddings`, `labels`, `ocr`, `speech` for use.
"""
