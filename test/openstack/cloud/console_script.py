"""console_script.py MODULE:FUNCTION NAME ARGUMENT... [-- ARGUMENT...]...

Does what the console script NAME does, without the package that brings it (and an init script along).
Each `--` begins one more run of the same script: a fork, so that the imports, most of the time, are paid once.
"""
import importlib
import os
import sys
from itertools import groupby


def main() -> int:
    entry_point, name, *arguments = sys.argv[1:]
    module, function = entry_point.split(':')
    script = getattr(importlib.import_module(module), function)

    runs = [[name, *run] for is_separator, run in groupby(arguments, '--'.__eq__) if not is_separator]
    # sys.argv is changed in place: some scripts took hold of the list as they were imported
    for argv in runs[:-1]:
        if (child := os.fork()) == 0:
            sys.argv[:] = argv
            sys.exit(script())
        if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            return code
    sys.argv[:] = runs[-1] if runs else [name]
    return script()


sys.exit(main())
