"""blocks.py FILE LANGUAGE [HOLDS]: prints the one fenced block of a language, of which HOLDS is a part."""

import re
import sys
from pathlib import Path

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main(page, language, holds=""):
    found = [text for kind, text in FENCED.findall(Path(page).read_text()) if kind == language and holds in text]
    if len(found) != 1:
        sys.exit(f"{page}: {len(found)} blocks of {language} hold {holds!r}, want one")
    sys.stdout.write(found[0])


main(*sys.argv[1:])
