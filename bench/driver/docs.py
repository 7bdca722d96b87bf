"""Puts the last table into docs/performance.md."""

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def write(path, text):
    """Replaces what stands between the two markers."""
    old = path.read_text()
    before, rest = old.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n```text\n{text}\n```\n{END}{after}")
