#!/usr/bin/env bash
# One folder for a machine without a network: saved images, or wheels, or both, with checksums and an installer.
#
#   docker/offline-kit.sh site|coordinator FOLDER images|wheels|both
#
# images: the built image (CEUS_IMAGE) and, for the coordinator, nginx's (CEUS_NGINX), as docker saves them.
# wheels: fedceus and all that it needs, for this machine's kind of processor and version of Python (PYTHON).
#         TORCH_INDEX_URL: an index of torch builds without CUDA, for machines without a graphics card.
#         requirements.txt has the SHA-256 of every wheel, and install.sh takes no other.
# Of both a list of what they hold goes along (SBOM, CycloneDX): sbom.image.cdx.json from the image of ours, sbom.wheels.cdx.json
# written here by cyclonedx-py (CYCLONEDX; `pip install cyclonedx-bom`).
# CA_KEY, CA_CERTIFICATE: of the federation's CA where there is one. SHA256SUMS is signed with it, and the certificate goes
# along: its fingerprint is the end of the federation's id. openssl asks for the passphrase of an encrypted key.
# FOLDER appears whole or not at all.
set -euo pipefail

fail() {
  echo "offline-kit: $1" >&2
  exit 1
}

[[ $# -eq 3 ]] || fail "give three words: site or coordinator, a new folder, and images, wheels or both"
part=$1 out=$2 what=$3
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
cyclonedx=${CYCLONEDX:-cyclonedx-py}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/pyproject.toml")
case $part in
  site) images=("${CEUS_IMAGE:-fedceus-site:$version}") ;;
  coordinator) images=("${CEUS_IMAGE:-fedceus-coordinator:$version}" "${CEUS_NGINX:-nginx:1.28.0-bookworm}") ;;
  *) fail "the first word is site or coordinator, not $part" ;;
esac
case $what in images | wheels | both) ;; *) fail "the third word is images, wheels or both, not $what" ;; esac
if [[ $what != images ]] && ! command -v "$cyclonedx" >/dev/null; then
  fail "cyclonedx-py is not here; pip install cyclonedx-bom, or name it as CYCLONEDX"
fi
[[ -z ${CA_KEY:-}${CA_CERTIFICATE:-} || (-n ${CA_KEY:-} && -n ${CA_CERTIFICATE:-}) ]] ||
  fail "give both CA_KEY and CA_CERTIFICATE, or neither"
[[ ! -e $out ]] || fail "$out is there already; name a new folder"

mkdir -p "$(dirname "$out")"
draft=$(mktemp -d "$(dirname "$out")/.offline-kit-XXXXXX")
trap 'rm -rf "$draft"' EXIT

save_images() {
  mkdir "$draft/images"
  local image
  for image in "${images[@]}"; do
    docker image inspect "$image" >/dev/null || fail "the image $image is not here; build or pull it first"
    docker image save "$image" | gzip >"$draft/images/$(tr '/:@' '___' <<<"$image").tar.gz"
  done
  docker container run --rm --network none --entrypoint cat "${images[0]}" /opt/fedceus/sbom.cdx.json \
    >"$draft/sbom.image.cdx.json" || fail "the image ${images[0]} holds no list of what it is made of; build it anew"
}

save_wheels() {
  mkdir "$draft/wheels" "$draft/source"
  cp -r "$root"/{pyproject.toml,README.md,LICENSE,ceus_models,client,server,sim} "$draft/source/" # without what was built before
  local pip=("$python" -m pip) pinned=(--only-binary ":all:" --constraint "$root/constraints.txt")
  "${pip[@]}" wheel --quiet --no-deps --wheel-dir "$draft/wheels" "$draft/source"
  rm -r "$draft/source"
  if [[ -n ${TORCH_INDEX_URL:-} ]]; then
    "${pip[@]}" download --quiet --no-deps "${pinned[@]}" --index-url "$TORCH_INDEX_URL" \
      --dest "$draft/wheels" torch torchvision
  fi
  "${pip[@]}" download --quiet "${pinned[@]}" --find-links "$draft/wheels" --dest "$draft/wheels" \
    "fedceus[$part] @ file://$(realpath "$draft"/wheels/fedceus-*.whl)"
  "$python" "$root/docker/lock_wheels.py" "$draft/wheels" "$part" >"$draft/requirements.txt"
  "$cyclonedx" requirements --output-reproducible --output-file "$draft/sbom.wheels.cdx.json" "$draft/requirements.txt"
}

if [[ $what != wheels ]]; then save_images; fi
if [[ $what != images ]]; then save_wheels; fi
cp "$root"/docker/compose."$part"*.yaml "$root/docs/deployment.md" "$root/docs/operations.md" "$root/LICENSE" "$draft/"
cp -r "$root/docker/systemd" "$draft/systemd"
if [[ $part == coordinator ]]; then cp -r "$root/docker/grafana" "$draft/grafana"; fi
install -m 0755 "$root/docker/offline-install.sh" "$draft/install.sh"
if [[ -n ${CA_CERTIFICATE:-} ]]; then cp "$CA_CERTIFICATE" "$draft/ca.pem"; fi
sums=$(cd "$draft" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
echo "$sums" >"$draft/SHA256SUMS"
if [[ -n ${CA_KEY:-} ]]; then
  openssl dgst -sha384 -sign "$CA_KEY" -out "$draft/SHA256SUMS.sig" "$draft/SHA256SUMS" || fail "the CA's key cannot sign"
  openssl x509 -in "$draft/ca.pem" -pubkey -noout >"$draft/.ca.pub"
  openssl dgst -sha384 -verify "$draft/.ca.pub" -signature "$draft/SHA256SUMS.sig" "$draft/SHA256SUMS" >/dev/null ||
    fail "the CA's key is not that of its certificate"
  rm "$draft/.ca.pub"
fi
chmod 0755 "$draft"
mv -T "$draft" "$out"
trap - EXIT
echo "made $out; tell its receiver this line on another way than the folder itself. He compares it with what"
echo "sha256sum SHA256SUMS says, before he runs anything of the folder (docs/deployment.md, Without a network):"
sha256sum "$out/SHA256SUMS" | cut -d ' ' -f 1
