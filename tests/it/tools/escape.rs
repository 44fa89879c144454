//! Tests of links, pipes and sparse files that an agent creates. They must not give the tools access to files outside
//! the workspace, and must not block the tools.

use serde_json::json;

use super::Shop;

#[tokio::test]
async fn links_made_by_bash_do_not_lead_out_of_the_workspace() {
    let shop = Shop::new();
    shop.bash(
        "ln -s /etc/passwd passwd; ln -s /etc etc; ln -s ../../../../etc/passwd up; ln -s /proc/self/root magic; \
         mkdir inner; ln -s /etc inner/etc; echo control > real; ln -s real inside",
    )
    .await;
    // Control: `real`, the target of the link `inside`, can be read under its own name.
    assert_eq!(shop.text("read", json!({"path": "real"})).await, "     1\tcontrol\n");
    let ways = [
        "passwd",
        "etc/passwd",
        "up",
        "magic/etc/passwd",
        "inner/etc/passwd",
        "../../../etc/passwd",
        "/etc/passwd",
    ];
    for path in ways
        .into_iter()
        .chain(["inside", "/proc/self/environ", "inner/../../../etc/passwd"])
    {
        for (tool, arguments) in [
            ("read", json!({"path": path})),
            ("grep", json!({"pattern": "root", "path": path})),
            (
                "edit",
                json!({"path": path, "old_string": "root", "new_string": "toor"}),
            ),
        ] {
            let error = shop.error(tool, arguments).await;
            assert!(!error.contains("root:x:0"), "{tool} {path}: {error}");
        }
    }
    let found = shop.text("grep", json!({"pattern": "root:x:0|control"})).await;
    assert_eq!(found, "real:1:control\n");
    let listed = shop.text("glob", json!({"pattern": "**/*"})).await;
    assert_eq!(listed, "real\n");
    let error = shop.error("glob", json!({"pattern": "*", "path": "etc"})).await;
    assert!(!error.contains("passwd"), "{error}");
}

#[tokio::test]
async fn write_replaces_a_link_and_never_follows_it() {
    let shop = Shop::new();
    let outside = shop.workspace.parent().unwrap().join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    std::os::unix::fs::symlink(&outside, shop.workspace.join("link")).unwrap();
    std::os::unix::fs::symlink(outside.parent().unwrap(), shop.workspace.join("folder")).unwrap();
    shop.text("write", json!({"path": "link", "content": "mine"})).await;
    assert_eq!(shop.content("link"), "mine");
    assert!(!shop.workspace.join("link").is_symlink());
    let error = shop
        .error("write", json!({"path": "folder/outside", "content": "stolen"}))
        .await;
    assert!(!error.is_empty());
    let error = shop
        .error("write", json!({"path": "../outside", "content": "stolen"}))
        .await;
    assert!(!error.is_empty());
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
    // Control: a file of this name can be written inside the workspace.
    shop.text("write", json!({"path": "sub/outside", "content": "fine"}))
        .await;
    assert_eq!(shop.content("sub/outside"), "fine");
}

#[tokio::test]
async fn a_pipe_made_by_bash_does_not_block_a_tool() {
    let shop = Shop::new();
    shop.bash("mkfifo pipe; echo text > file").await;
    for (tool, arguments) in [
        ("read", json!({"path": "pipe"})),
        ("grep", json!({"pattern": "x", "path": "pipe"})),
        ("edit", json!({"path": "pipe", "old_string": "a", "new_string": "b"})),
    ] {
        let error = shop.error(tool, arguments).await;
        assert!(error.contains("pipe"), "{tool}: {error}");
    }
    assert_eq!(shop.text("read", json!({"path": "file"})).await, "     1\ttext\n");
}

#[tokio::test]
async fn a_huge_sparse_file_does_not_block_a_tool() {
    let shop = Shop::new();
    shop.bash("truncate -s 900M giant; printf 'head\\n' | dd of=text conv=notrunc status=none; truncate -s 900M text")
        .await;
    assert!(shop.error("read", json!({"path": "giant"})).await.contains("binary"));
    assert!(
        shop.error("edit", json!({"path": "giant", "old_string": "a", "new_string": "b"}))
            .await
            .contains("bytes")
    );
    assert!(shop.text("grep", json!({"pattern": "head"})).await.contains("skipped"));
}

#[tokio::test]
async fn tools_and_bash_see_the_same_files() {
    let shop = Shop::new();
    shop.text(
        "write",
        json!({"path": "script.sh", "content": "echo \"from $1\" > output/made.txt\n"}),
    )
    .await;
    let output = shop
        .bash("sh script.sh bash && echo more >> script.sh && cat output/made.txt")
        .await;
    assert!(output.contains("from bash"), "{output}");
    assert_eq!(
        shop.text("read", json!({"path": "output/made.txt"})).await,
        "     1\tfrom bash\n"
    );
    shop.text(
        "edit",
        json!({"path": "output/made.txt", "old_string": "bash", "new_string": "edit"}),
    )
    .await;
    assert!(
        shop.bash("cat output/made.txt; echo x >> output/made.txt")
            .await
            .contains("from edit")
    );
    assert!(
        shop.text("grep", json!({"pattern": "more", "path": "script.sh"}))
            .await
            .contains("script.sh:2:more")
    );
}
