#!/usr/bin/env bash
# Installs from this folder alone, without a network, after every file was found to be what was packed. Whoever can change the
# folder can change this file too: compare the digest, or verify the signature, by the commands of your own machine first
# (deployment.md, Without a network).
#
#   ./install.sh check           only look, and show the digest to compare with the sender's
#   ./install.sh images          load the images into docker
#   ./install.sh venv FOLDER     make a virtual environment with fedceus in FOLDER (PYTHON: the interpreter)
set -euo pipefail

fail() {
  echo "install: $1" >&2
  exit 1
}

check() {
  sha256sum --check --strict --quiet SHA256SUMS || fail "the files above are not what was packed; get the folder again"
  local odd
  odd=$(comm -13 <(sed 's/^[0-9a-f]*  //' SHA256SUMS | LC_ALL=C sort) \
    <(find . ! -type d ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig | LC_ALL=C sort))
  [[ -z $odd ]] || fail "these files were not packed; delete them: $odd"
  echo "every file is as it was packed; the sender's digest must be $(sha256sum SHA256SUMS | cut -d ' ' -f 1)"
}

target=$(realpath --canonicalize-missing "${2:-.}")
cd "$(dirname "$0")"
case ${1:-} in
  check)
    check
    ;;
  images)
    check
    [[ -d images ]] || fail "this folder holds no images; it has wheels: ./install.sh venv FOLDER"
    for image in images/*.tar.gz; do
      gunzip --stdout "$image" | docker image load
    done
    ;;
  venv)
    [[ $# -eq 2 ]] || fail "name the folder: ./install.sh venv FOLDER"
    check
    [[ -d wheels ]] || fail "this folder holds no wheels; it has images: ./install.sh images"
    "${PYTHON:-python3}" -m venv "$target"
    # -I: what PYTHONPATH names is not installed here
    "$target/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-index --find-links wheels \
      --only-binary ":all:" --require-hashes --requirement requirements.txt
    "$target/bin/ceus-site" --help >/dev/null
    echo "installed into $target"
    ;;
  *) fail "say check, images or venv FOLDER" ;;
esac
