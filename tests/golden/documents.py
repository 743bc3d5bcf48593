#!/usr/bin/python3
"""The documents name the tests of their claims as `file/check`: each of them is there."""
import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
NAMED = re.compile(r"`(\w+)/(\w+)`")
DOCUMENTS = "docs/ARCHITECTURE.md", "docs/TESTING.md"
CHECK = r"^(def {0}\(world|static void {0}\(void \*\*state\))"


def main():
    known = {path.stem: path.read_text() for path in (SOURCE / "tests").glob("*/*")
             if path.suffix in (".py", ".c")}
    named = [(file, check) for document in DOCUMENTS
             for file, check in NAMED.findall((SOURCE / document).read_text())
             if not (SOURCE / file).is_dir()]
    missing = [f"{file}/{check}" for file, check in named
               if not re.search(CHECK.format(check), known.get(file, ""), re.M)]
    print(f"{len(named)} tests are named", *missing, sep="\nno such test: ")
    return 1 if missing or not named else 0


sys.exit(main())
