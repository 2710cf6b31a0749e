#!/usr/bin/env bash
# Prints the manifest for krew of one release: render.sh VERSION HOMEPAGE DOWNLOAD FOLDER, where FOLDER holds the archives
# kubectl-landingzone-OS-ARCH.tar.gz and DOWNLOAD is the URL below which they will be found.
set -euo pipefail

if (($# != 4)); then
  echo "usage: $0 VERSION HOMEPAGE DOWNLOAD FOLDER" >&2
  exit 2
fi
version=$1 homepage=$2 download=$3 folder=$4

filled=$(<"$(dirname "${BASH_SOURCE[0]}")/landingzone.yaml.in")
filled=${filled//@VERSION@/$version}
filled=${filled//@HOMEPAGE@/$homepage}
filled=${filled//@DOWNLOAD@/$download}
for platform in linux-amd64 linux-arm64 darwin-arm64 windows-amd64; do
  archive=$folder/kubectl-landingzone-$platform.tar.gz
  if [[ ! -f $archive ]]; then
    echo "$archive is missing" >&2
    exit 1
  fi
  sum=$(sha256sum <"$archive")
  field=${platform^^}
  filled=${filled//@SHA256_${field//-/_}@/${sum%% *}}
done
# The first line is about the template.
printf '%s\n' "${filled#*$'\n'}"
