#!/bin/sh
# Runs featx-array.sbatch on a Slurm of one node, set up for the occasion and taken down again, and checks the result.
#   sh examples/slurm/one-node.sh            needs root and Debian's packages slurmctld, slurmd, slurm-client and munge
# Prints what is missing and ends with 77 where it cannot run; FEATX names the featx to run (default: this clone's).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
featx=${FEATX:-$here/../../bin/featx.js}
model=${FEATX_MODEL:-$here/../../fixtures/timm/test_resnet.ts.onnx}

skip() { echo "skipped: $1" >&2; exit 77; }
[ "$(id -u)" = 0 ] || skip 'root is needed to start slurmd'
for program in slurmctld slurmd sbatch squeue scontrol munged node; do
  command -v "$program" >/dev/null || PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || skip "$program is not installed (apt-get install slurmctld slurmd slurm-client munge)"
done
PATH=$PATH:/usr/sbin

work=$(mktemp -d)
chmod 755 "$work"
host=$(hostname -s)
mkdir -p "$work/state" "$work/spool" "$work/bin" "$work/models" "$work/munge"
munge_pid= ctld_pid= slurmd_pid=
finish() {
  for pid in $slurmd_pid $ctld_pid $munge_pid; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT INT TERM

# A munge of our own, so that a running one is left alone.
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 2>/dev/null
chmod 400 "$work/munge/key"
chmod 711 "$work/munge"
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" --log-file="$work/munge/log" --seed-file="$work/munge/seed" >"$work/munge/out" 2>&1 & munge_pid=$!

cat > "$work/slurm.conf" <<CONF
ClusterName=featx
SlurmctldHost=$host
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/ctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/ctld.log
SlurmdLogFile=$work/slurmd.log
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$host CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
slurmctld -D >"$work/ctld.out" 2>&1 & ctld_pid=$!
slurmd -D >"$work/slurmd.out" 2>&1 & slurmd_pid=$!
tries=0
until sinfo -h -o %T 2>/dev/null | grep -q idle; do
  tries=$((tries + 1))
  if [ $tries -gt 60 ]; then
    tail -5 "$work"/*.log "$work"/*.out >&2
    skip 'the node of Slurm did not come up'
  fi
  sleep 0.5
done

printf '#!/bin/sh\nexec node "%s" "$@"\n' "$(realpath "$featx")" > "$work/bin/featx"
chmod +x "$work/bin/featx"
PATH=$work/bin:$PATH
for number in 1 2 3 4 5 6 7 8 9 10; do cp "$model" "$work/models/m$number.onnx"; done
printf '{"models": ["models/*.onnx"], "output": "features/{name}.onnx", "options": {"out": [1, 2]}}\n' > "$work/featx.config.json"
cd "$work"
job=$(sbatch --parsable --export=ALL "$here/featx-array.sbatch")
merge=$(sbatch --parsable --export=ALL --dependency="afterok:$job" --job-name=featx-merge --output=featx-merge.out --wrap='featx merge')
tries=0
while [ -n "$(squeue -h -j "$job,$merge" 2>/dev/null)" ]; do
  tries=$((tries + 1))
  [ $tries -le 240 ] || { squeue; cat featx-*.out; echo 'the jobs did not end' >&2; exit 1; }
  sleep 0.5
done
cat featx-merge.out
featx batch --shard 1/1 --state alone --manifest alone/manifest.json --force --json >/dev/null
cmp .featx/manifest.json alone/manifest.json
echo "Slurm $(slurmd -V | cut -d' ' -f2) ran four shards of ten models; joined, they are what one run makes"
