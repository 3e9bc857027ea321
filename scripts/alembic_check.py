"""Migrates an empty embedded database and compares it with the tables that the code declares."""

import shutil
import sys
import tempfile
from pathlib import Path

from indexer.store import migrate
from workers.local.postgres import Postgres


def main() -> int:
    """0 when they are the same; 1, with the differences, when they are not."""
    root = Path(tempfile.mkdtemp(prefix="gz-"))
    root.chmod(0o711)
    server = Postgres(root / "pg", durable=False)
    try:
        server.start()
        migrate.upgrade(server.url())
        differences = migrate.drift(server.url())
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)
    for difference in differences:
        print(difference)
    print("no difference" if not differences else "write a migration for these, or correct schema.py")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
