"""Where a bundle begins. Child processes must turn off before anything heavy is imported."""

import multiprocessing
import sys

multiprocessing.freeze_support()

from app.__main__ import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
