"""Does somebody who reads events by their key miss one, whatever is open or finished meanwhile?"""

import time

from sqlalchemy import text

from indexer import store
from indexer.store import Db, events

EVENTS_AT_ONCE = 10_000
MOST_LOOKS = 400
LOOK_S = 0.05


class Reader:
    """Somebody who reads events by their key on connections of his own, and an outsider who writes some meanwhile."""

    def __init__(self, db: Db) -> None:
        self._db = store.connect(db.url.render_as_string(hide_password=False), name="reader", pool_size=2)
        self._key = events.START
        self.read: list[tuple[int, int]] = []

    def outsider(self) -> None:
        """An event of another transaction, finished while ours is open; and a look at what can be read by now."""
        with store.begin(self._db) as tx:
            tx.execute(text("insert into gazetteer.events (kind, at) values ('probe', now())"))
        self.look()

    def look(self) -> None:
        """Read on from the last key."""
        with store.begin(self._db) as tx:
            found = events.after(tx, self._key, EVENTS_AT_ONCE)
        self.read += [event.key for event in found]
        self._key = self.read[-1] if self.read else self._key

    def missed(self) -> list[str]:
        """What he does not have in the end, after patience with transactions of other databases of this server."""
        with store.begin(self._db) as tx:
            wanted = {(row.tx, row.id) for row in tx.execute(text("select tx, id from gazetteer.events"))}
        for _ in range(MOST_LOOKS):
            self.look()
            if all(key <= self._key for key in wanted.difference(self.read)):
                break
            time.sleep(LOOK_S)
        self._db.dispose()
        twice = len(self.read) - len(set(self.read))
        lost = len(wanted - set(self.read))
        return [f"a reader of events missed {lost} and read {twice} twice"] if lost or twice else []
