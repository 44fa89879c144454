#!/usr/bin/env bash
# make test-documents: reads real documents through the real program in its sandbox, then thousands of damaged copies, and
# measures a PDF of 200 pages. The documents are test data of pinned public packages, and files that make.py and, if it is
# installed, LibreOffice write. Takes about 15 minutes after a release build.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')}
export RUNYARD_CLIENTS=$target/clients
mkdir -p "$RUNYARD_CLIENTS"
scripts/install.sh bwrap:bubblewrap npm:npm
venv=$(tests/clients/venv.sh documents tests/documents/requirements.txt)

packages=$RUNYARD_CLIENTS/document-packages
folder=$target/documents
rm -rf "$folder"
mkdir -p "$packages" "$folder/damage"

# Source packages, because wheels do not contain tests.
for package in python-docx==1.2.0 python-pptx==1.0.2 nbconvert==7.16.6 odfpy==1.4.1 tablib==3.8.0; do
    [ -e "$packages/$package" ] && continue
    "$venv/bin/pip" download --quiet --no-deps --no-binary :all: --no-build-isolation --dest "$packages/new" "$package"
    mkdir -p "$packages/$package.part"
    tar --extract --gzip --file "$packages"/new/*.tar.gz --directory "$packages/$package.part"
    rm -r "$packages/new"
    mv "$packages/$package.part" "$packages/$package"
done
for package in mammoth@1.9.0 pdf-parse@1.1.1; do
    [ -e "$packages/$package" ] && continue
    mkdir -p "$packages/$package.part"
    (cd "$packages/$package.part" && npm pack --silent "$package" >/dev/null && tar --extract --gzip --file ./*.tgz)
    mv "$packages/$package.part" "$packages/$package"
done

# Up to 20 documents of each package and format; the name says where a document comes from.
for package in "$packages"/*; do
    for extension in pdf docx pptx xlsx xls ods ipynb html; do
        find "$package" -type f -name "*.$extension" -size +0 | sort | awk 'NR <= 20' | while read -r file; do
            cp "$file" "$folder/$(basename "$package" | tr '@=' '-')-$(basename "$file")"
        done
    done
done
"$venv/bin/python" tests/documents/make.py "$folder" all
if command -v soffice >/dev/null; then
    for conversion in plan.docx:doc plan.docx:rtf plan.docx:pdf sales.xlsx:xls sales.xlsx:ods results.pptx:ppt results.pptx:pdf; do
        out=$(mktemp -d)
        soffice --headless --convert-to "${conversion#*:}" --outdir "$out" "$folder/${conversion%:*}" >/dev/null
        for file in "$out"/*; do mv "$file" "$folder/libreoffice-$(basename "$file")"; done
    done
else
    echo "LibreOffice is not installed; its seven documents are left out"
fi
for name in report.pdf plan.docx checklist.docx results.pptx sales.xlsx sales.xls sales.ods book.epub letter.rtf study.ipynb; do
    cp "$folder/$name" "$folder/damage/"
done

export RUNYARD_TEST_PROGRAM=${RUNYARD_TEST_PROGRAM:-$target/release/runyard}
export RUNYARD_TEST_DOCUMENTS=$folder RUNYARD_TEST_DAMAGED=${DAMAGED:-200}
cargo test --locked --test it -- --ignored --nocapture --exact tools::documents::a_folder_of_documents
