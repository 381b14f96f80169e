#!/usr/bin/env bash
# Installs the browser assets that package-lock.json pins and copies what pages load into static/vendor.
set -euo pipefail
cd "$(dirname "$0")/.."
vendor=web/cohortium_web/static/vendor
if ! command -v npm >/dev/null 2>&1; then
    echo "No npm here: installing Node from a wheel"
    .venv/bin/python -m pip install --quiet --no-deps --require-hashes -r deploy/requirements-node.txt
    export PATH="$PWD/.venv/bin:$PATH"
fi
echo "Installing browser assets"
npm ci --silent --ignore-scripts --no-audit --no-fund
rm -rf "$vendor"
mkdir -p "$vendor"
cp node_modules/htmx.org/dist/htmx.min.js "$vendor/htmx.min.js"
cp node_modules/chart.js/dist/chart.umd.min.js "$vendor/chart.umd.min.js"
cp node_modules/axe-core/axe.min.js "$vendor/axe.min.js"
# Without its web fonts, which lie on another host: pages load nothing from elsewhere, and fall back to Arial.
sed -E "s/@font-face *\{[^}]*\}//g" node_modules/nhsuk-frontend/dist/nhsuk/nhsuk-frontend.min.css > "$vendor/nhsuk-frontend.min.css"
cp node_modules/nhsuk-frontend/dist/nhsuk/nhsuk-frontend.min.js "$vendor/nhsuk-frontend.min.js"
cp -r node_modules/nhsuk-frontend/dist/nhsuk/assets "$vendor/assets"
