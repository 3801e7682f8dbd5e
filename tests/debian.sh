#!/bin/sh
# Installs the Debian packages that the tests use as real counterparts, where it may.
set -eu
need=""
PATH="$PATH:/usr/sbin"  # Orthanc is a daemon
for pair in openssl:openssl storescu:dcmtk dcmqrscp:dcmtk Orthanc:orthanc chromium:chromium eatmydata:eatmydata; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || need="$need ${pair##*:}"
done
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || need="$need orthanc-dicomweb"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need="$need postgresql"
ldconfig -p 2>/dev/null | grep -q libseccomp.so.2 || need="$need libseccomp2"
[ -n "$need" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed (needs root on Debian):$need - tests that need them are skipped, or fail with CI=true"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $need >/dev/null
