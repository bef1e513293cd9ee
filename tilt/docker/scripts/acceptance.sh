#!/usr/bin/env bash
# Runs the Docker environment once, with whatever daemon `docker` reaches: loads our images, starts everything, asks what
# the README asks, takes everything down with its data, and looks for what is left. `make acceptance-docker` packs the
# images first. An image of others that is neither here nor to be had leaves its service out, which is said.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
images=${1:-$root/target/images}
asked='{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}'
expected='{"id":1,"jsonrpc":"2.0","result":{"method":"eth_blockNumber","params":[],"status":"ok"}}'

compose() { docker compose --progress plain --file "$root/tilt/docker/docker-compose.yaml" "$@"; }
fail() { printf 'acceptance: %s\n' "$*" >&2; exit 1; }

docker info >/dev/null 2>&1 || fail 'no Docker daemon answers: start one, or set DOCKER_HOST'
docker compose version >/dev/null || fail 'docker has no compose: install its plugin'
[ -z "$(compose ps --all --quiet)" ] || fail 'the environment is up already: take it down first with make tilt-down-docker'

down() {
  compose down --volumes --timeout 30 >/dev/null 2>&1 || true
}
trap down EXIT

for image in "$images"/*.tar; do
  [ -e "$image" ] || fail "no images in $images: run \`make images\`"
  docker load --quiet --input "$image"
done

missing=$(compose config --images | sort --unique | while read -r image; do
  docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" >/dev/null 2>&1 || printf '%s\n' "$image"
done)
services=()
for service in $(compose config --services | sort); do
  # Its own image, and those of whom it waits for.
  lacks=$(compose config --images "$service" | sort --unique | grep --line-regexp --fixed-strings "${missing:-no image}" || true)
  if [ -z "$lacks" ]; then
    services+=("$service")
  else
    printf 'left out: %s, since it cannot be pulled: %s\n' "$service" "$lacks"
  fi
done
[[ " ${services[*]} " == *' gateway '* ]] || fail 'there is no gateway without them'

compose up --wait --wait-timeout 180 --no-build --pull never "${services[@]}" || {
  compose ps --all
  compose logs --tail 20
  fail 'it did not start'
}
compose ps --all --format 'table {{.Service}}\t{{.Status}}'

answer=$(curl --silent --show-error --max-time 30 http://127.0.0.1:3069/v1 \
  --header 'Target-Service-Id: develop-http' --header 'Content-Type: application/json' --data "$asked") || fail 'the gateway does not answer'
printf 'answered: %s\n' "$answer"
[ "$answer" = "$expected" ] || fail "expected: $expected"

# Volumes without a name of their own carry no label to find them by.
volumes=$(compose ps --all --quiet |
  xargs docker inspect --format '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}' | grep .)
compose down --volumes --timeout 30
trap - EXIT

ours=(--filter label=com.docker.compose.project=pocket)
left=$(docker ps --all --quiet "${ours[@]}"; docker network ls --quiet "${ours[@]}"; docker volume ls --quiet "${ours[@]}"
  docker volume ls --quiet | grep --line-regexp --fixed-strings --file <(printf '%s\n' "$volumes") || true)
[ -z "$left" ] || fail "left behind: $left"
printf 'nothing is left: no container, no network, none of %d volumes\n' "$(wc -l <<<"$volumes")"
