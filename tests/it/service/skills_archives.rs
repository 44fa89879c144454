//! Tests that hostile skill archives are refused with a reason. An archive with harmless entries of the same kinds is
//! stored.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use runyard_upstream::Turn;
use serde_json::json;

use super::archives::{Entry, file, skill_file, zip};
use crate::test_server::on_every_database;

/// Returns groups of hostile entries, each with a part of the expected error text.
fn hostile() -> Vec<(&'static str, Vec<Entry>)> {
    let one = |change: fn(&mut Entry)| {
        let mut entry = file("good/x.txt", "content");
        change(&mut entry);
        vec![entry]
    };
    let named = |name: &[u8]| {
        vec![Entry {
            name: name.to_vec(),
            ..file("", "content")
        }]
    };
    let zeros = || vec![0; 20 * 1024 * 1024];
    vec![
        ("link or a special file", one(|entry| entry.mode = 0o120_777)),
        ("link or a special file", one(|entry| entry.mode = 0o020_644)),
        ("link or a special file", one(|entry| entry.mode = 0o010_644)),
        ("link or a special file", one(|entry| entry.mode = 0o140_644)),
        ("link or a special file", one(|entry| entry.mode = 0o040_755)),
        ("absolute path", named(b"/etc/passwd")),
        (". or ..", named(b"good/../../x.txt")),
        (". or ..", named(b"../good/x.txt")),
        (". or ..", named(b"good/./x.txt")),
        (". or ..", named(b"good//x.txt")),
        ("backslash", named(b"good\\..\\x.txt")),
        ("backslash", named(b"C:/x.txt")),
        ("control character", named(b"good/x\n.txt")),
        ("control character", named(b"good/x\0.txt")),
        ("not UTF-8", named(b"good/\xff.txt")),
        ("512 bytes", named(format!("good/{}", "x".repeat(600)).as_bytes())),
        ("16 parts", named(format!("good/{}x", "x/".repeat(20)).as_bytes())),
        ("twice", vec![file("good/x.txt", "1"), file("good/x.txt", "2")]),
        ("twice", vec![file("good/SKILL.md", "---\nname: evil\n---\n")]),
        ("twice", vec![file("good/x", "1"), file("good/x/y.txt", "2")]),
        ("twice", vec![file("good/x/y.txt", "2"), file("good/x", "1")]),
        ("encrypted", one(|entry| entry.flags = 1)),
        ("compression", one(|entry| entry.method = 12)),
        (
            "unpacks to more",
            vec![file("good/a.bin", zeros()), file("good/b.bin", zeros())],
        ),
        (
            "cannot be read",
            vec![Entry {
                stated_size: Some(1),
                ..file("good/a.bin", vec![0; 40 * 1024 * 1024])
            }],
        ),
        (
            "more than 1000",
            (0..1001).map(|number| file(&format!("good/{number}"), "")).collect(),
        ),
    ]
}

#[tokio::test]
async fn a_hostile_archive_is_refused_with_its_reason() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let upload =
                async |archive: Vec<u8>| caller.post("/skills", json!({"archive": BASE64.encode(archive)})).await;
            for (position, (what, mut entries)) in hostile().into_iter().enumerate() {
                entries.insert(0, skill_file("good", "x"));
                let refused = upload(zip(&entries)).await.refused(400, "INVALID_REQUEST");
                assert!(refused.to_string().contains(what), "{position} {what}: {refused}");
            }
            assert_eq!(server.number("SELECT COUNT(*) FROM skills").await, 0);
            // Positive control: ordinary entries of the same kinds are stored.
            let mut script = file("good/scripts/x.sh", "content");
            script.mode = 0o100_755;
            let foreign = Entry {
                mode: 0,
                ..file("good/b/ü.txt", "content")
            };
            let stored = Entry {
                method: 0,
                ..file("good/c.txt", "content")
            };
            let large = file("good/large.bin", vec![0; 20 * 1024 * 1024]);
            let mac = file("__MACOSX/good/._x", "x");
            let control = zip(&[skill_file("good", "x"), script, foreign, stored, large, mac]);
            let skill = upload(control).await.ok();
            assert_eq!(skill["files"].as_array().unwrap().len(), 5);
        },
    )
    .await;
}

#[tokio::test]
async fn damaged_archives_never_pass() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let upload =
                async |archive: Vec<u8>| caller.post("/skills", json!({"archive": BASE64.encode(archive)})).await;
            let whole = zip(&[
                skill_file("good", "x"),
                file("good/a.txt", "some content, some content"),
            ]);
            for bytes in [&b"no archive"[..], &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
                let refused = upload(bytes.to_vec()).await.refused(400, "INVALID_REQUEST");
                assert!(refused.to_string().contains("cannot be read"), "{refused}");
            }
            // A changed byte in the content of a file breaks its checksum or its compression.
            let at = whole.windows(10).position(|window| window == b"good/a.txt").unwrap() + 12;
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            let refused = upload(changed).await.refused(400, "INVALID_REQUEST");
            assert!(refused.to_string().contains("cannot be read"), "{refused}");
            upload(whole).await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn an_archive_larger_than_the_maximum_is_refused() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let noise: Vec<u8> = (0..9 * 1024 * 1024_u32)
                .map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3])
                .collect();
            let with = |bytes: &[u8]| {
                let entry = Entry {
                    method: 0,
                    ..file("good/noise.bin", bytes)
                };
                let part = reqwest::multipart::Part::bytes(zip(&[skill_file("good", "x"), entry]));
                reqwest::multipart::Form::new().part("files", part.file_name("good.zip"))
            };
            caller.form("/skills", with(&noise)).await.refused(413, "TOO_LARGE");
            caller.form("/skills", with(&noise[..7 * 1024 * 1024])).await.ok();
            assert_eq!(
                server.number("SELECT COUNT(*) FROM uploads").await,
                0,
                "no upload is left"
            );
        },
    )
    .await;
}
