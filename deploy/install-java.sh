#!/usr/bin/env bash
# The Spark engine and its tests need Java 17; as root it is installed when absent, otherwise the advice is printed.
set -euo pipefail
if command -v java >/dev/null 2>&1 || [ -x "${JAVA_HOME:-/nowhere}/bin/java" ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Java 17"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null
else
    echo "Spark needs Java 17: install it (apt-get install openjdk-17-jre-headless) and run make test again" >&2
    exit 1
fi
