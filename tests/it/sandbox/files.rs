//! Access from the host to a workspace: reading, writing, listing, uploads.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use runyard::sandbox::{Depth, ErrorKind, FileKind, WalkLimits};

use super::{Yard, say};

#[tokio::test]
async fn files_are_replaced_atomically() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let files = sandbox.workspace();
    files.write("/workspace/output/deep/report.md", b"one").unwrap();
    assert_eq!(
        say(&sandbox, "cat output/deep/report.md; chmod 750 output/deep/report.md").await,
        "one"
    );
    let before = std::fs::metadata(sandbox.place().folder.join("output/deep/report.md")).unwrap();
    let mut reader = files.open_file("output/deep/report.md").unwrap();
    files.write("output/deep/report.md", b"two!").unwrap();
    let after = std::fs::metadata(sandbox.place().folder.join("output/deep/report.md")).unwrap();
    assert_eq!(after.permissions().mode() & 0o7777, 0o750);
    assert_eq!(before.uid(), after.uid());
    // A reader that opened the file before the write still reads the old content.
    assert_eq!(std::io::read_to_string(&mut reader).unwrap(), "one");
    assert_eq!(files.read("output/deep/report.md", 4).unwrap(), b"two!");
    assert_eq!(
        files.read("output/deep/report.md", 3).unwrap_err().kind(),
        ErrorKind::TooLarge
    );

    assert_eq!(files.write("output", b"x").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(
        files.write("output/deep/report.md/x", b"x").unwrap_err().kind(),
        ErrorKind::Invalid
    );
    for path in ["", "/workspace", ".", "../x", "/etc/x"] {
        assert_eq!(
            files.write(path, b"x").unwrap_err().kind(),
            ErrorKind::Invalid,
            "{path}"
        );
        assert_eq!(files.remove(path).unwrap_err().kind(), ErrorKind::Invalid, "{path}");
    }
    let names: Vec<String> = files
        .walk("", WalkLimits::default())
        .unwrap()
        .map(|found| found.path)
        .collect();
    assert_eq!(names, ["output", "output/deep", "output/deep/report.md"]);
}

#[tokio::test]
async fn lists_and_metadata_describe_the_files() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    say(
        &sandbox,
        "mkdir -p b/c; printf 12345 > b/c/f; printf 1 > a; ln -s a link; touch $'bad\\xff'",
    )
    .await;
    let files = sandbox.workspace();
    let paths = |path, depth| -> Vec<String> {
        files
            .list(path, depth, 100, None)
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| entry.path)
            .collect()
    };
    assert_eq!(paths("", Depth::One), ["a", "b", "bad%FF", "link", "output"]);
    assert_eq!(paths("/workspace/b", Depth::All), ["b/c", "b/c/f"]);
    assert_eq!(paths("b/c", Depth::One), ["b/c/f"]);
    assert_eq!(
        files.list("a", Depth::One, 10, None).unwrap_err().kind(),
        ErrorKind::FileNotFound
    );
    assert_eq!(
        files.list("none", Depth::One, 10, None).unwrap_err().kind(),
        ErrorKind::FileNotFound
    );
    let file = files.metadata("b/c/f").unwrap();
    assert_eq!((file.kind, file.size), (FileKind::File, 5));
    assert!(file.modified.elapsed().unwrap().as_secs() < 60);
    assert_eq!(files.metadata("link").unwrap().kind, FileKind::Link);
    assert_eq!(files.metadata("/workspace").unwrap().kind, FileKind::Folder);
    let mut walk = files.walk("b", WalkLimits::default()).unwrap();
    let last = walk.by_ref().last().unwrap();
    assert_eq!(std::io::read_to_string(walk.open(&last).unwrap()).unwrap(), "12345");
    assert_eq!(files.usage().unwrap().files, 7);
    files.remove("b").unwrap();
    files.remove("link").unwrap();
    assert_eq!(paths("", Depth::All), ["a", "bad%FF", "output"]);
    files.remove("bad%FF").unwrap();
    assert_eq!(paths("", Depth::All), ["a", "output"]);
    assert_eq!(files.remove("b").unwrap_err().kind(), ErrorKind::FileNotFound);
}

#[tokio::test]
async fn uploads_are_placed_only_under_unused_names() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let files = sandbox.workspace();
    let outside = yard.host_file("outside", "OUTSIDE");
    say(&sandbox, format!("ln -s {} trap.csv; mkdir taken", outside.display())).await;
    let upload = yard.host_file("uploads/one", "data.csv");
    files.place_as(&upload, "data.csv").unwrap();
    assert!(!upload.exists());
    assert_eq!(files.read("data.csv", 100).unwrap(), b"data.csv");
    // Placing an upload replaces no existing entry and follows no link.
    for name in ["data.csv", "trap.csv", "taken"] {
        let upload = yard.host_file("uploads/one", name);
        assert_eq!(
            files.place_as(&upload, name).unwrap_err().kind(),
            ErrorKind::Conflict,
            "{name}"
        );
        assert!(upload.exists());
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "OUTSIDE");
    assert_eq!(
        say(&sandbox, "echo more >> data.csv && cat data.csv").await,
        "data.csvmore\n"
    );

    // A retry after a crash succeeds, and the file is placed exactly once.
    let upload = yard.host_file("uploads/two", "two");
    files.place_as(&upload, "two").unwrap();
    files.place_as(&upload, "two").unwrap();
    assert_eq!(files.read("two", 10).unwrap(), b"two");
    assert_eq!(
        files.place_as(&upload, "three").unwrap_err().kind(),
        ErrorKind::FileNotFound
    );
    let upload = yard.host_file("uploads/two", "other");
    assert_eq!(files.place_as(&upload, "two").unwrap_err().kind(), ErrorKind::Conflict);
    assert!(upload.exists());
    for name in ["sub/x", "../x", ""] {
        assert_eq!(
            files.place_as(&upload, name).unwrap_err().kind(),
            ErrorKind::Invalid,
            "{name}"
        );
    }
}

#[tokio::test]
async fn creating_a_workspace_twice_keeps_its_files() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    say(&sandbox, "echo kept > f; rmdir output; ln -s /etc output").await;
    // A command has replaced the folder `output` with a link. The service leaves the link unchanged.
    yard.sandboxes.make(sandbox.place()).unwrap();
    assert_eq!(sandbox.workspace().metadata("output").unwrap().kind, FileKind::Link);
    say(&sandbox, "rm output").await;
    yard.sandboxes.make(sandbox.place()).unwrap();
    assert_eq!(say(&sandbox, "cat f; ls -d output").await, "kept\noutput\n");
}
