"""Files to text.

`registry.load` chooses by suffix or media type; `protocol` says what a loader returns. One module a format:
`text` (plain and Markdown), `html` (`html_styles`: what is hidden), `pdf` (`layout`: the reading order,
`pdf_tables`, `pdf_damage`), `picture`, `docx`, `pptx`, `xlsx` (on `office` and `archive`), `delimited`,
`records` (JSON), `source_code`, `mail` and `bundle` (zip), which read what is in them by `nested`.
`assembly` puts texts together; `worker` is the process this happens in, `frames` what it hears and answers.
"""
