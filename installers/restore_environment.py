"""Run by a bundle before the program: gives programs that it starts, such as the file manager, the system's libraries.

PyInstaller's starter puts the bundle's folder into LD_LIBRARY_PATH. The loader has read that by now; only child
processes would still follow it, and load our libraries in place of theirs.
"""

import os

for _variable in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"):
    if f"{_variable}_ORIG" in os.environ:
        os.environ[_variable] = os.environ.pop(f"{_variable}_ORIG")
    else:
        os.environ.pop(_variable, None)
