#!/usr/bin/env bash
# The product as one competitor: one worker (two children) and the command line that waits, all in one session.
# Reads what the runner says (RPC_URL, DATABASE_URL, FROM_BLOCK, OUT_DIR, JOB) and BENCH_BROKER; `prepare` first.
#   product.sh prepare    not timed: settings, migrations, an empty broker
#   product.sh run        timed
#   product.sh idle       timed: the same processes with nothing to do, to be taken off; `prepare-idle` first
#   product.sh here       timed: one process, without Celery
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="$root/.venv/bin/python"
export GAZETTEER_CONFIG="$OUT_DIR/gazetteer.toml" GAZETTEER_DATABASE_URL="$DATABASE_URL"
export GAZETTEER_BROKER_URL="$BENCH_BROKER" GAZETTEER_RPC_ETHEREUM="$RPC_URL"
export GAZETTEER_CHAINS=ethereum GAZETTEER_REQUESTS_PER_S="${BENCH_REQUESTS_PER_S:-100000}"

if [ "$1" = prepare ]; then
  [ -f "$GAZETTEER_CONFIG" ] || "$python" "$root/bench/settings_of.py" "$RPC_URL" > "$GAZETTEER_CONFIG"
  "$python" -c 'import sys, redis; redis.Redis.from_url(sys.argv[1]).flushall()' "$BENCH_BROKER"
  exec "$python" -P -m workers migrate
fi

words=(--since "$FROM_BLOCK")
[ "$1" = idle ] || [ "$1" = prepare-idle ] && words=(--since "$TO_BLOCK")
if [ "$1" = prepare-idle ]; then # what idle would find is read before
  "$0" prepare
  exec "$python" -P -m workers backfill "${words[@]}" --here
fi
[ "$JOB" = meta ] && words+=(--tokens)
if [ "$1" = here ]; then
  exec "$python" -P -m workers backfill "${words[@]}" --here
fi

if [ -n "${BENCH_LOOK:-}" ]; then # every process says where its time goes
  export BENCH_SAMPLES="$BENCH_LOOK/$JOB-$1" PYTHONPATH="$root/bench/sampler${PYTHONPATH:+:$PYTHONPATH}"
  mkdir -p "$BENCH_SAMPLES"
fi
"$python" -P -m workers worker --lane history --concurrency 2 --name bench &
worker=$!
status=0
"$python" -P -m workers backfill "${words[@]}" || status=$?
kill -TERM "$worker"
wait "$worker" || true
exit "$status"
