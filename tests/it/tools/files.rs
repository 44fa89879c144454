//! Tests of the read, write and edit tools.

use image::ImageFormat;
use serde_json::json;

use super::Shop;
use crate::pictures::{bomb, picture};

#[tokio::test]
async fn read_numbers_lines_and_continues_at_an_offset() {
    let shop = Shop::new();
    shop.put("data.csv", "a,b\r\n1,2\n\n3,4");
    for path in ["data.csv", "./data.csv", "/workspace/data.csv"] {
        let text = shop.text("read", json!({"path": path})).await;
        assert_eq!(text, "     1\ta,b\n     2\t1,2\n     3\t\n     4\t3,4\n");
    }
    let answer = shop
        .call("read", json!({"path": "data.csv", "offset": 2, "limit": 1}))
        .await
        .unwrap();
    assert_eq!(
        answer.text,
        "     2\t1,2\n[more lines follow; continue with offset 3. The file has 13 bytes]"
    );
    assert!(answer.truncated);
    let error = shop.error("read", json!({"path": "data.csv", "offset": 9})).await;
    assert_eq!(error, "data.csv has 4 lines; there is no line 9");
    shop.put("empty", "");
    assert_eq!(shop.text("read", json!({"path": "empty"})).await, "(the file is empty)");
}

#[tokio::test]
async fn read_limits_lines_and_bytes() {
    let shop = Shop::new();
    let long = format!("{}\nshort\n", "ä".repeat(500_000));
    shop.put("long", &long);
    let text = shop.text("read", json!({"path": "long"})).await;
    assert!(
        text.contains("[… cut; the line has 1000000 bytes]\n     2\tshort\n"),
        "{}",
        &text[text.len() - 80..]
    );
    assert!(text.len() < 2_200, "{}", text.len());
    assert!(!text.contains('\u{fffd}'), "a character was split");

    shop.put("many", "x\n".repeat(5_000));
    let answer = shop
        .call("read", json!({"path": "many", "limit": 100_000}))
        .await
        .unwrap();
    assert!(answer.truncated && answer.text.contains("continue with offset 2001"));

    shop.put("wide", format!("{}\n", "y".repeat(1_000)).repeat(200));
    let answer = shop.call("read", json!({"path": "wide"})).await.unwrap();
    assert!(answer.truncated && answer.text.len() < 68_000, "{}", answer.text.len());
}

#[tokio::test]
async fn read_returns_images_of_each_format_and_refuses_damaged_ones() {
    let shop = Shop::new();
    let formats = [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::WebP, "image/webp"),
        (ImageFormat::Gif, "image/gif"),
    ];
    for (format, media_type) in formats {
        let bytes = picture(format, 30, 20);
        // The name does not decide.
        shop.put("picture.txt", &bytes);
        let answer = shop
            .call("read", json!({"path": "/workspace/picture.txt"}))
            .await
            .unwrap();
        let [image] = &answer.images[..] else {
            panic!("{answer:?}")
        };
        let found = (image.media_type(), image.width(), image.height(), image.size());
        assert_eq!(found, (media_type, 30, 20, bytes.len()));
        assert_eq!(image.path(), Some("picture.txt"));
    }
    shop.put("bomb.png", bomb());
    let error = shop.error("read", json!({"path": "bomb.png"})).await;
    assert!(error.contains("the limit is 40 million pixels"), "{error}");
    shop.put("bad.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let error = shop.error("read", json!({"path": "bad.png"})).await;
    assert_eq!(error, "the image bad.png cannot be shown: the file is damaged");
}

#[tokio::test]
async fn read_refuses_files_that_are_not_text() {
    let shop = Shop::new();
    shop.put("program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let error = shop.error("read", json!({"path": "program"})).await;
    assert!(error.contains("binary file of 16 bytes"), "{error}");
    shop.put("latin1", b"caf\xe9\n");
    assert_eq!(
        shop.text("read", json!({"path": "latin1"})).await,
        "     1\tcaf\u{fffd}\n"
    );
    assert_eq!(
        shop.error("read", json!({"path": "lost"})).await,
        "there is no file lost"
    );
    let error = shop.error("read", json!({"path": "output"})).await;
    assert!(error.contains("folder") || error.contains("regular file"), "{error}");
}

#[tokio::test]
async fn write_creates_and_replaces_files() {
    let shop = Shop::new();
    let text = shop
        .text(
            "write",
            json!({"path": "/workspace/output/a/b.md", "content": "# Hi\nyou\n"}),
        )
        .await;
    assert_eq!(text, "created /workspace/output/a/b.md: 9 bytes, 2 lines");
    assert_eq!(shop.content("output/a/b.md"), "# Hi\nyou\n");
    let text = shop
        .text("write", json!({"path": "output/a/b.md", "content": ""}))
        .await;
    assert_eq!(text, "replaced output/a/b.md: 0 bytes, 0 lines");
    let error = shop
        .error("write", json!({"path": "big", "content": "x".repeat((1 << 20) + 1)}))
        .await;
    assert!(error.contains("the maximum is 1048576"), "{error}");
    assert!(!shop.workspace.join("big").exists());
    let error = shop.error("write", json!({"path": "output", "content": "x"})).await;
    assert!(error.contains("output"), "{error}");
}

#[tokio::test]
async fn edit_replaces_one_place_and_shows_the_difference() {
    let shop = Shop::new();
    shop.put("a.py", "one\ntwo\nthree\nfour\nfive\nsix\nseven\n");
    let edit = json!({"path": "a.py", "old_string": "four\nfive\n", "new_string": "4\n5\n5b\n"});
    let text = shop.text("edit", edit).await;
    assert_eq!(
        text,
        "changed a.py\n@@ -1,7 +1,8 @@\n one\n two\n three\n-four\n-five\n+4\n+5\n+5b\n six\n seven\n"
    );
    assert_eq!(shop.content("a.py"), "one\ntwo\nthree\n4\n5\n5b\nsix\nseven\n");
    let text = shop
        .text(
            "edit",
            json!({"path": "a.py", "old_string": "hre", "new_string": "HRE"}),
        )
        .await;
    assert_eq!(
        text,
        "changed a.py\n@@ -1,6 +1,6 @@\n one\n two\n-three\n+tHREe\n 4\n 5\n 5b\n"
    );
    let text = shop
        .text("edit", json!({"path": "a.py", "old_string": "5b\n", "new_string": ""}))
        .await;
    assert_eq!(
        text,
        "changed a.py\n@@ -3,6 +3,5 @@\n tHREe\n 4\n 5\n-5b\n six\n seven\n"
    );
}

#[tokio::test]
async fn edit_replaces_every_occurrence_only_when_requested() {
    let shop = Shop::new();
    shop.put("a", "x=1\ny=2\nx=1\n");
    let error = shop
        .error("edit", json!({"path": "a", "old_string": "x=1", "new_string": "x=3"}))
        .await;
    assert!(error.contains("occurs 2 times in a (lines 1, 3)"), "{error}");
    assert_eq!(shop.content("a"), "x=1\ny=2\nx=1\n");
    let all = json!({"path": "a", "old_string": "x=1", "new_string": "x=3\nz=4", "replace_all": true});
    let text = shop.text("edit", all).await;
    assert!(
        text.starts_with("changed a in 2 places\n@@ -1,3 +1,4 @@\n-x=1\n+x=3\n+z=4\n"),
        "{text}"
    );
    assert!(
        text.contains("@@ -1,3 +2,4 @@\n x=1\n y=2\n-x=1\n+x=3\n+z=4\n"),
        "{text}"
    );
    assert_eq!(shop.content("a"), "x=3\nz=4\ny=2\nx=3\nz=4\n");
}

#[tokio::test]
async fn edit_reports_why_a_change_does_not_apply() {
    let shop = Shop::new();
    shop.put("a.py", "def f():\n    return 1\n");
    let error = shop
        .error(
            "edit",
            json!({"path": "a.py", "old_string": "\treturn 1", "new_string": "x"}),
        )
        .await;
    assert_eq!(
        error,
        "old_string was not found in a.py; line 2 has the same text with different white space"
    );
    let error = shop
        .error(
            "edit",
            json!({"path": "a.py", "old_string": "return 2", "new_string": "x"}),
        )
        .await;
    assert!(error.contains("read the file"), "{error}");
    let error = shop
        .error("edit", json!({"path": "a.py", "old_string": "f", "new_string": "f"}))
        .await;
    assert!(error.contains("the same"), "{error}");
    let error = shop
        .error("edit", json!({"path": "a.py", "old_string": "", "new_string": "f"}))
        .await;
    assert!(error.contains("/old_string"), "{error}");
    shop.put("b", b"caf\xe9");
    let error = shop
        .error("edit", json!({"path": "b", "old_string": "caf", "new_string": "x"}))
        .await;
    assert!(error.contains("not UTF-8"), "{error}");
    let error = shop
        .error("edit", json!({"path": "lost", "old_string": "a", "new_string": "b"}))
        .await;
    assert_eq!(error, "there is no file lost");
}

#[tokio::test]
async fn edit_keeps_dos_line_ends_and_limits_the_result_size() {
    let shop = Shop::new();
    shop.put("dos", "one\r\ntwo\r\nthree\r\n");
    shop.text(
        "edit",
        json!({"path": "dos", "old_string": "one\ntwo\n", "new_string": "1\n2\n"}),
    )
    .await;
    assert_eq!(shop.content("dos"), "1\r\n2\r\nthree\r\n");
    shop.put("a", "a".repeat(1 << 20));
    let error = shop
        .error(
            "edit",
            json!({"path": "a", "old_string": "a", "new_string": "b".repeat(64), "replace_all": true}),
        )
        .await;
    assert!(error.contains("the maximum for edit is"), "{error}");
    assert_eq!(shop.content("a").len(), 1 << 20);
}

#[tokio::test]
async fn arguments_never_reach_a_shell() {
    let shop = Shop::new();
    // Each of these names is an unusual but valid file name.
    for name in [
        "; touch pwned",
        "$(touch pwned)",
        "`touch pwned`",
        "-rf",
        "a b'c\"d",
        "*",
        "&& touch pwned",
    ] {
        shop.text("write", json!({"path": name, "content": "fine"})).await;
        assert_eq!(shop.content(name), "fine");
        assert_eq!(shop.text("read", json!({"path": name})).await, "     1\tfine\n");
        shop.text(
            "edit",
            json!({"path": name, "old_string": "fine", "new_string": "$(touch pwned)"}),
        )
        .await;
        assert_eq!(shop.content(name), "$(touch pwned)");
    }
    assert!(!shop.workspace.join("pwned").exists());
    for name in ["a\0b", ""] {
        assert!(
            !shop
                .error("write", json!({"path": name, "content": "x"}))
                .await
                .is_empty()
        );
    }
}
