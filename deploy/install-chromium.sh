#!/usr/bin/env bash
# Browser tests need Debian's chromium; as root it is installed when absent, otherwise the advice is printed.
set -euo pipefail
if command -v chromium >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing chromium"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
    echo "Browser tests need chromium: install it (apt-get install chromium) and run make test again" >&2
    exit 1
fi
