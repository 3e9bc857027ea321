#!/usr/bin/env bash
# The product as one competitor: one worker (two children) and the command line that waits, all in one session.
# Reads what the runner says (RPC_URL, DATABASE_URL, FROM_BLOCK, OUT_DIR, JOB) and BENCH_BROKER; `prepare` first.
#   product.sh prepare    not timed: settings, migrations, an empty broker
#   product.sh run        timed
#   product.sh idle       timed: the same processes with nothing to do, to be taken off
#   product.sh here       timed: one process, without Celery
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="$root/.venv/bin/python"
export GAZETTEER_CONFIG="$OUT_DIR/gazetteer.toml" GAZETTEER_DATABASE_URL="$DATABASE_URL"
export GAZETTEER_BROKER_URL="$BENCH_BROKER" GAZETTEER_RPC_ETHEREUM="$RPC_URL"
export GAZETTEER_CHAINS=ethereum GAZETTEER_REQUESTS_PER_S="${BENCH_REQUESTS_PER_S:-100000}"

if [ "$1" = prepare ]; then
  "$python" "$root/bench/settings_of.py" "$RPC_URL" "$BENCH_BROKER" > "$GAZETTEER_CONFIG"
  exec "$python" -P -m workers migrate
fi

words=(--since "$FROM_BLOCK")
[ "$JOB" = meta ] && words+=(--tokens)
if [ "$1" = idle ]; then
  words[1]=$((TO_BLOCK + 64)) # the newest final block: one request
fi
if [ "$1" = here ]; then
  exec "$python" -P -m workers backfill "${words[@]}" --here
fi

"$python" -P -m workers worker --lane history --concurrency 2 --name bench &
worker=$!
status=0
"$python" -P -m workers backfill "${words[@]}" || status=$?
kill -TERM "$worker"
wait "$worker" || true
exit "$status"
