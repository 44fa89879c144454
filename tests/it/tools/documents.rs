//! Tests of documents: the `read` tool shows their pages, and whatever a document does to its parser costs one sentence.
//! The parser is the real program in a real sandbox.
//!
//! `make test-documents` sets RUNYARD_TEST_DOCUMENTS to a folder with many documents, and RUNYARD_TEST_DAMAGED to the
//! number of damaged copies of each document in its folder `damage/`. It may set RUNYARD_TEST_PROGRAM to a release build.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use runyard::{
    documents,
    sandbox::{Conversion, OpenFile, Sandbox},
};
use serde_json::json;

use super::Shop;

/// Maximum time of one document: the time limit of the parser's process, plus the time to kill the process.
const MAX_TIME: Duration = Duration::from_secs(40);

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/documents/tests/files")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(files().join(name)).unwrap()
}

fn shop(names: &[&str]) -> Shop {
    let shop = Shop::new();
    for name in names {
        shop.put(name, bytes(name));
    }
    shop
}

#[tokio::test]
async fn read_shows_the_pages_and_sheets_of_a_document() {
    let shop = shop(&["report.pdf", "sales.xlsx", "page.html", "plan.docx"]);
    let all = shop.text("read", json!({"path": "report.pdf"})).await;
    assert!(all.starts_with("[PDF, 3 pages, title \"Quarterly report\"]\n"), "{all}");
    assert!(all.contains("## Page 1") && all.contains("## Page 3"), "{all}");
    let page = shop
        .text("read", json!({"path": "/workspace/report.pdf", "pages": "2"}))
        .await;
    assert!(
        page.contains("Heading of page 2") && !page.contains("Heading of page 3"),
        "{page}"
    );
    let error = shop.error("read", json!({"path": "report.pdf", "pages": "9"})).await;
    assert_eq!(error, "there is no page 9; the document has 3 pages");
    let sheet = shop
        .text("read", json!({"path": "sales.xlsx", "sheet": "Internal"}))
        .await;
    assert!(sheet.contains("secret plan") && !sheet.contains("Region"), "{sheet}");
    let error = shop.error("read", json!({"path": "sales.xlsx", "sheet": "x"})).await;
    assert!(error.contains("Sheet \"Sales\""), "{error}");
    assert!(
        shop.text("read", json!({"path": "plan.docx"}))
            .await
            .contains("# Plan for 2027")
    );
    // A page is text, which an agent may want to edit.
    assert!(
        shop.text("read", json!({"path": "page.html"}))
            .await
            .contains("<script>hidden()")
    );
    let page = shop.text("read", json!({"path": "page.html", "pages": "1"})).await;
    assert!(page.contains("| Tea | 3 |") && !page.contains("<script>"), "{page}");
    shop.put("notes.txt", "x");
    let error = shop.error("read", json!({"path": "notes.txt", "pages": "1"})).await;
    assert!(error.contains("is not a document"), "{error}");
}

#[tokio::test]
async fn pages_without_text_are_shown_as_images() {
    let shop = shop(&["scan.pdf", "report.pdf"]);
    let answer = shop
        .call("read", json!({"path": "scan.pdf", "pages": "2"}))
        .await
        .unwrap();
    assert!(answer.text.contains("probably a scan"), "{answer:?}");
    if Path::new("/usr/bin/pdftoppm").exists() {
        assert_eq!(answer.images.len(), 1, "{answer:?}");
        assert_eq!(answer.images[0].media_type(), "image/jpeg");
    } else {
        assert!(answer.text.contains("no pdftoppm"), "{answer:?}");
    }
    let text = shop.call("read", json!({"path": "report.pdf"})).await.unwrap();
    assert!(text.images.is_empty());
}

#[tokio::test]
async fn an_unreadable_document_costs_one_sentence() {
    let shop = shop(&["locked.pdf", "locked.xlsx", "report.pdf"]);
    shop.put("bad.pdf", b"%PDF-1.7\nnothing \0 else");
    shop.put("cut.docx", &bytes("plan.docx")[..20_000]);
    for (path, part) in [
        ("locked.pdf", "protected with a password"),
        ("locked.xlsx", "protected with a password"),
        ("bad.pdf", "damaged"),
        ("cut.docx", "damaged"),
    ] {
        let error = shop.error("read", json!({"path": path})).await;
        assert!(
            error.starts_with(path) && error.contains(part) && !error.contains('\n'),
            "{error}"
        );
    }
    let without = Shop::with("sandbox.bwrap = \"/nowhere/bwrap\"");
    without.put("report.pdf", bytes("report.pdf"));
    let error = without.error("read", json!({"path": "report.pdf"})).await;
    assert!(error.contains("documents cannot be read on this server"), "{error}");
    assert!(
        shop.text("read", json!({"path": "report.pdf"}))
            .await
            .contains("page 3")
    );
}

#[tokio::test]
async fn a_document_is_parsed_once_until_it_changes() {
    let first = shop(&["report.pdf"]);
    let page = first.text("read", json!({"path": "report.pdf", "pages": "1"})).await;
    assert!(page.contains("Heading of page 1"), "{page}");
    // Here, no document can be parsed. The documents that the run has read are the same.
    let mut second = Shop::with("sandbox.bwrap = \"/nowhere/bwrap\"");
    second.documents = Arc::clone(&first.documents);
    second.put("report.pdf", bytes("report.pdf"));
    let page = second.text("read", json!({"path": "report.pdf", "pages": "3"})).await;
    assert!(page.contains("Heading of page 3"), "{page}");
    let mut changed = bytes("report.pdf");
    *changed.last_mut().unwrap() = b' ';
    second.put("report.pdf", changed);
    let error = second.error("read", json!({"path": "report.pdf"})).await;
    assert!(error.contains("documents cannot be read on this server"), "{error}");
}

/// Runs a script as a conversion. Returns its output, and whether it succeeded.
async fn script(shop: &Shop, script: &str, input: &[u8]) -> (String, bool) {
    let input = OpenFile {
        size: input.len() as u64,
        content: Box::new(std::io::Cursor::new(input.to_vec())),
    };
    let converted = shop.sandbox.convert(Conversion::Script(script.to_owned()), input, 1000);
    let converted = converted.await.unwrap();
    let text = String::from_utf8_lossy(&converted.output).into_owned();
    (text, converted.ending.is_success())
}

#[tokio::test]
async fn a_conversion_has_no_workspace_and_little_memory() {
    let shop = shop(&["report.pdf"]);
    let (text, ok) = script(&shop, "cat; ls /workspace; ulimit -v; ulimit -t", b"input\n").await;
    assert_eq!((text.as_str(), ok), ("input\n1048576\n20\n", true));
    assert!(script(&shop, "dd if=/dev/zero of=/dev/null bs=1M count=1", b"").await.1);
    assert!(!script(&shop, "dd if=/dev/zero of=/dev/null bs=2G count=1", b"").await.1);
    assert!(!script(&shop, "kill -SEGV $$", b"").await.1);
    let (text, ok) = script(&shop, "yes", &vec![0; 8 << 20]).await;
    assert_eq!((text.len(), ok), (1000, false));
    // A script that reads no input ends the transfer.
    assert!(script(&shop, "exec <&-; exit 0", &vec![0; 8 << 20]).await.1);
}

/// The result of one document.
struct Read {
    name: String,
    time: Duration,
    result: Result<documents::Document, documents::Unread>,
}

async fn read(sandbox: Arc<dyn Sandbox>, name: String) -> Option<Read> {
    let start = Instant::now();
    let found = documents::find(&*sandbox, &name).await.unwrap()?;
    let result = documents::read(&*sandbox, &name, found).await;
    let time = start.elapsed();
    if let Err(sentence) = &result {
        assert!(
            !sentence.why.is_empty() && sentence.why.len() < 300 && !sentence.why.contains('\n'),
            "{sentence:?}"
        );
    }
    Some(Read { name, time, result })
}

async fn read_all(shop: &Shop, names: Vec<String>) -> Vec<Read> {
    let sandbox: Arc<dyn Sandbox> = shop.sandbox.clone();
    let reads = stream::iter(names).map(|name| read(Arc::clone(&sandbox), name));
    let read: Vec<_> = reads.buffer_unordered(4).collect().await;
    read.into_iter().flatten().collect()
}

/// Copies of a document with one byte changed, spread over the file.
fn damaged(content: &[u8], copies: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..copies).map(move |number| {
        let mut copy = content.to_vec();
        // A step without a common factor with powers of two, so that the places do not repeat a pattern.
        let at = number * 7919 % copy.len();
        copy[at] ^= [0x01, 0x80, 0xff, 0x20][number % 4];
        copy
    })
}

fn check_times(reads: &[Read]) {
    for read in reads {
        assert!(read.time < MAX_TIME, "{} took {:?}", read.name, read.time);
    }
}

#[tokio::test]
async fn damaged_documents_never_hang_and_cost_a_sentence_each() {
    let shop = Shop::new();
    let names = [
        "report.pdf",
        "plan.docx",
        "sales.xlsx",
        "results.pptx",
        "book.epub",
        "sales.xls",
    ];
    let mut all = Vec::new();
    for name in names {
        for (number, copy) in damaged(&bytes(name), 17).enumerate() {
            let name = format!("{number}-{name}");
            shop.put(&name, copy);
            all.push(name);
        }
    }
    let reads = read_all(&shop, all).await;
    check_times(&reads);
    // Most one-byte changes damage only a part of a document, so many of them are still read.
    let readable = reads.iter().filter(|read| read.result.is_ok()).count();
    assert!(reads.len() > 95 && readable > 20, "{readable} of {}", reads.len());
}

#[tokio::test]
async fn every_kind_of_document_is_read() {
    let names: Vec<String> = fs::read_dir(files())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let names: Vec<String> = names.into_iter().filter(|name| name != "README.md").collect();
    let shop = shop(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let reads = read_all(&shop, names.clone()).await;
    assert_eq!(reads.len(), names.len());
    for read in &reads {
        assert_eq!(
            read.result.is_err(),
            read.name.starts_with("locked."),
            "{}: {:?}",
            read.name,
            read.result
        );
    }
    check_times(&reads);
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the table is the result")]
#[ignore = "make test-documents collects the documents and runs this"]
async fn a_folder_of_documents() {
    let folder = PathBuf::from(std::env::var("RUNYARD_TEST_DOCUMENTS").unwrap());
    let copies: usize = std::env::var("RUNYARD_TEST_DAMAGED").unwrap().parse().unwrap();
    let shop = Shop::new();
    let mut names = Vec::new();
    for file in fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
    {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        shop.put(&name, fs::read(&file).unwrap());
        names.push(name);
    }
    let mut reads = read_all(&shop, names).await;
    reads.sort_by(|one, other| one.name.cmp(&other.name));
    check_times(&reads);
    println!("{:<60} {:>7} {:>6} {:>9}  result", "document", "ms", "parts", "bytes");
    for read in &reads {
        let (parts, size, said) = match &read.result {
            Ok(document) => {
                let size: usize = document.parts.iter().map(|part| part.text.len()).sum();
                (document.total_parts, size, document.notes.join("; "))
            }
            Err(sentence) => (0, 0, format!("unreadable: {}", sentence.why)),
        };
        println!(
            "{:<60} {:>7} {parts:>6} {size:>9}  {said}",
            read.name,
            read.time.as_millis()
        );
    }
    let read_count = reads.iter().filter(|read| read.result.is_ok()).count();
    println!("{read_count} of {} documents were read", reads.len());
    assert!(reads.len() >= 60, "{} documents", reads.len());
    assert!(read_count * 10 >= reads.len() * 9, "{read_count} of {}", reads.len());

    // Alone, so that the time is not shared.
    let long = read(shop.sandbox.clone(), "long.pdf".to_owned()).await.unwrap();
    println!("200 pages: {} ms", long.time.as_millis());
    assert_eq!(long.result.unwrap().total_parts, 200);
    assert!(long.time < Duration::from_secs(2), "{:?}", long.time);

    let (mut count, mut readable, mut slowest) = (0, 0, Duration::ZERO);
    for file in fs::read_dir(folder.join("damage"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let content = fs::read(&file).unwrap();
        let mut names = Vec::new();
        for (number, copy) in damaged(&content, copies).enumerate() {
            let name = format!("damaged-{number}-{name}");
            shop.put(&name, copy);
            names.push(name);
        }
        let reads = read_all(&shop, names.clone()).await;
        check_times(&reads);
        count += names.len();
        readable += reads.iter().filter(|read| read.result.is_ok()).count();
        slowest = reads
            .iter()
            .map(|read| read.time)
            .max()
            .unwrap_or_default()
            .max(slowest);
        for name in names {
            fs::remove_file(shop.workspace.join(name)).unwrap();
        }
    }
    println!(
        "{count} damaged copies: {readable} read, {} refused, slowest {} ms, no hang",
        count - readable,
        slowest.as_millis()
    );
    assert!(count >= 2000, "{count} damaged copies");
}
