//! Tests of the glob and grep tools.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::Shop;

fn age(shop: &Shop, path: &str, seconds: u64) {
    let file = std::fs::File::options()
        .write(true)
        .open(shop.workspace.join(path))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
        .unwrap();
}

#[tokio::test]
async fn glob_finds_files_newest_first() {
    let shop = Shop::new();
    for (path, seconds) in [
        ("a.csv", 30),
        ("sub/b.csv", 10),
        ("sub/deep/c.csv", 20),
        ("sub/d.txt", 5),
    ] {
        shop.put(path, "x");
        age(&shop, path, seconds);
    }
    let cases = [
        (json!({"pattern": "*.csv"}), "sub/b.csv\nsub/deep/c.csv\na.csv\n"),
        (json!({"pattern": "**/*.csv"}), "sub/b.csv\nsub/deep/c.csv\na.csv\n"),
        (json!({"pattern": "sub/*.csv"}), "sub/b.csv\n"),
        (
            json!({"pattern": "/workspace/sub/*.{csv,txt}"}),
            "sub/d.txt\nsub/b.csv\n",
        ),
        (
            json!({"pattern": "deep/*", "path": "/workspace/sub/"}),
            "sub/deep/c.csv\n",
        ),
        (json!({"pattern": "./a.*", "path": "."}), "a.csv\n"),
        (json!({"pattern": "*.rs"}), "no file matches\n"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(shop.text("glob", arguments.clone()).await, expected, "{arguments}");
    }
    let error = shop.error("glob", json!({"pattern": "a["})).await;
    assert!(error.contains("pattern is invalid"), "{error}");
    let error = shop.error("glob", json!({"pattern": "*", "path": "lost"})).await;
    assert!(error.contains("lost"), "{error}");
}

#[tokio::test]
async fn glob_results_are_limited() {
    let shop = Shop::new();
    for number in 0..450 {
        shop.put(&format!("many/{number}.txt"), "");
    }
    shop.put("many/newest.txt", "");
    for number in 0..450 {
        age(&shop, &format!("many/{number}.txt"), 1_000 + number);
    }
    let answer = shop.call("glob", json!({"pattern": "*.txt"})).await.unwrap();
    assert!(
        answer.truncated && answer.text.starts_with("many/newest.txt\nmany/0.txt\n"),
        "{}",
        answer.text
    );
    assert!(
        answer.text.ends_with("many/198.txt\n[251 older files are left out]\n"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn grep_finds_matching_lines() {
    let shop = Shop::new();
    shop.put("a.py", "import os\nprint(os.name)\n");
    shop.put("sub/b.py", "# IMPORT\nimport sys");
    shop.put("c.txt", "import is a word\n");
    shop.put("d.bin", b"import\0binary");
    let found = shop.text("grep", json!({"pattern": "^import", "glob": "*.py"})).await;
    assert_eq!(found, "a.py:1:import os\nsub/b.py:2:import sys\n");
    let found = shop
        .text("grep", json!({"pattern": "import", "ignore_case": true, "path": "sub"}))
        .await;
    assert_eq!(found, "sub/b.py:1:# IMPORT\nsub/b.py:2:import sys\n");
    let found = shop.text("grep", json!({"pattern": "import", "mode": "files"})).await;
    assert_eq!(
        found,
        "a.py\nc.txt\nsub/b.py\n[1 binary or unreadable files were skipped]\n"
    );
    let found = shop
        .text("grep", json!({"pattern": "os\\.", "path": "/workspace/a.py"}))
        .await;
    assert_eq!(found, "/workspace/a.py:2:print(os.name)\n");
    let found = shop.text("grep", json!({"pattern": "nothing", "glob": "*.py"})).await;
    assert_eq!(found, "no line matches\n");
    let error = shop.error("grep", json!({"pattern": "(?=x)"})).await;
    assert!(error.contains("look-around"), "{error}");
}

#[tokio::test]
async fn grep_results_are_limited() {
    let shop = Shop::new();
    shop.put("many", "match me\n".repeat(1_000));
    let answer = shop.call("grep", json!({"pattern": "match"})).await.unwrap();
    assert!(answer.truncated && answer.text.contains("many:200:match me\n[not everything was searched"));
    assert!(!answer.text.contains("many:201:"));
    shop.put("wide", format!("needle {}\n", "y".repeat(300_000)));
    let found = shop.text("grep", json!({"pattern": "needle", "path": "wide"})).await;
    assert!(
        found.len() < 600 && found.contains("[… cut; the line has 300007 bytes]"),
        "{}",
        found.len()
    );
    let error = shop.error("grep", json!({"pattern": "(a{1000}){1000}"})).await;
    assert!(error.contains("size limit"), "{error}");
}

#[tokio::test]
async fn grep_takes_linear_time_and_survives_strange_trees() {
    let shop = Shop::new();
    // The workspace contains a string on which a backtracking regex engine would hang, a link to its own folder, and
    // a pipe.
    shop.put("evil", format!("{}!\n", "a".repeat(15_000)));
    shop.put("good", "needle\n");
    std::os::unix::fs::symlink(".", shop.workspace.join("loop")).unwrap();
    std::os::unix::fs::symlink("/proc", shop.workspace.join("proc")).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .arg(shop.workspace.join("pipe"))
        .status()
        .unwrap();
    assert!(fifo.success());
    let started = Instant::now();
    assert_eq!(
        shop.text("grep", json!({"pattern": "(a+)+$|^(a|aa)+$"})).await,
        "no line matches\n"
    );
    assert_eq!(shop.text("grep", json!({"pattern": "needle"})).await, "good:1:needle\n");
    let listed = shop.text("glob", json!({"pattern": "**/*"})).await;
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed, ["evil", "good"]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn file_names_cannot_forge_result_lines() {
    let shop = Shop::new();
    shop.put("a\nforged.txt:1:line", "needle\n");
    let found = shop.text("grep", json!({"pattern": "needle"})).await;
    assert_eq!(found.lines().count(), 1, "{found}");
    let listed = shop.text("glob", json!({"pattern": "*"})).await;
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[tokio::test]
async fn a_cancelled_search_answers_at_once() {
    let shop = Shop::new();
    shop.put("a", "x");
    assert_eq!(shop.text("glob", json!({"pattern": "*"})).await, "a\n");
    shop.cancel.cancel();
    assert_eq!(
        shop.error("grep", json!({"pattern": "x"})).await,
        "stopped: the run was stopped"
    );
}
