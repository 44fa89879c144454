//! The root file system that `make sandbox-rootfs` builds: its programs work in the sandbox, and the built-in model
//! draws a PNG chart with pandas.
//!
//! The tests need such a root: `RUNYARD_TEST_ROOTFS` names its folder. Without this variable, they are skipped and print
//! a notice on standard error.

use std::{io::Write, path::PathBuf};

use runyard::{engine, llm::Demo, tools};

use super::{Yard, say, settings};
use crate::engine::script::{Stage, user};

fn yard() -> Option<Yard> {
    let Some(root) = std::env::var_os("RUNYARD_TEST_ROOTFS") else {
        // Writes directly to standard error, because the test harness captures other output.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED without RUNYARD_TEST_ROOTFS: make sandbox-rootfs, and set it to target/sandbox-rootfs"
        );
        return None;
    };
    let mut settings = settings();
    settings.rootfs = Some(PathBuf::from(root).canonicalize().unwrap());
    Some(Yard::with(&settings))
}

const TABLE: &str = "month,region,units\n2026-01,North,3\n2026-01,South,4\n2026-02,North,7\n2026-02,South,1\n";

#[tokio::test]
async fn pandas_reads_a_table_and_draws_a_png_chart() {
    let Some(yard) = yard() else { return };
    let sandbox = yard.project(0);
    std::fs::write(sandbox.place().folder.join("data.csv"), TABLE).unwrap();
    let script = "cat > chart.py <<'END'
import pandas
import matplotlib.pyplot as plt
data = pandas.read_csv('/workspace/data.csv')
data.groupby('region')['units'].sum().plot.bar(title='Üser ≤ 10')
plt.savefig('/workspace/output/chart.png')
print(len(data))
END
python3 chart.py 2>&1; head -c 4 output/chart.png | tail -c 3; ls /tmp -A";
    // The output contains no warning, for example about fonts or the cache of matplotlib.
    assert_eq!(say(&sandbox, script).await, "4\nPNG.matplotlib\n");
}

#[tokio::test]
async fn the_programs_of_the_root_work_without_set_up() {
    let Some(yard) = yard() else { return };
    let sandbox = yard.project(0);
    for (script, wanted) in [
        (
            "git init -q g && cd g && git commit -q --allow-empty -m one && git log --format='%an %s'",
            "Runyard agent one\n",
        ),
        (
            "node -e 'console.log([1, 2].map(n => n * 2).join())'; npm --version | grep -c '[.]'",
            "2,4\n1\n",
        ),
        ("echo '{\"a\": [1, 2]}' | jq -c .a", "[1,2]\n"),
        ("echo x > a; zip -q a.zip a; rm a; unzip -q a.zip; cat a", "x\n"),
        ("python3 -m venv --without-pip v && v/bin/python -c 'print(1)'", "1\n"),
        ("python3 -c 'import openpyxl, yaml, requests, numpy; print(2)'", "2\n"),
        (
            "sqlite3 :memory: 'select 1 + 1'; echo abc | rg b; curl --version | grep -o '^curl'",
            "2\nabc\ncurl\n",
        ),
        ("fc-match sans | grep -c DejaVu; date +%Z; id -un", "1\nUTC\nagent\n"),
        // Nothing of the host's programs is visible.
        (
            "ls /usr/share/runyard-rootfs; ls /etc/shadow /root /home 2>/dev/null | wc -l",
            "/usr/share/runyard-rootfs\n0\n",
        ),
    ] {
        assert_eq!(say(&sandbox, script).await, wanted, "{script}");
    }
}

#[tokio::test]
async fn the_model_is_told_what_the_root_contains() {
    let Some(yard) = yard() else { return };
    let offer = yard.sandboxes.describe_for_model().await;
    let programs = offer.lines().find(|line| line.starts_with("programs:")).unwrap();
    for name in [
        "bash", "rg", "jq", "sqlite3", "git", "curl", "unzip", "node", "npm", "make",
    ] {
        assert!(programs.split(' ').any(|program| program == name), "{name}: {offer}");
    }
    let python = offer.lines().find(|line| line.starts_with("python3 ")).unwrap();
    for name in ["numpy", "pandas", "matplotlib", "openpyxl", "requests", "yaml"] {
        assert!(python.contains(name), "{name}: {offer}");
    }
}

#[tokio::test]
async fn the_built_in_model_draws_a_png_chart_with_pandas() {
    let Some(yard) = yard() else { return };
    for (table, wanted) in [
        (TABLE, vec!["4 rows", "Highest: 2026-02-01 with 8", "output/chart.png"]),
        ("name,size\na,1\nb,5\na,9\n", vec!["3 rows", "Highest: a with 10"]),
        ("word\nred\nblue\nred\n", vec!["3 rows", "output/chart.png"]),
        // pandas cannot read this table. The script that needs no Python can.
        ("a,b\n1,2\n1,2,3\n", vec!["output/chart.svg"]),
    ] {
        let sandbox = yard.project(1);
        let folder = sandbox.place().folder.clone();
        std::fs::write(folder.join("data.csv"), table).unwrap();
        let mut job = Stage::new(Vec::new()).job;
        job.tools = tools::built_in();
        job.workplace = std::sync::Arc::new(sandbox);
        job.history = vec![user("Analyze data.csv and create visualizations")];
        let log = crate::engine::script::Log::default();
        let cancel = tokio_util::sync::CancellationToken::new();
        let outcome = engine::run(&Demo, job, std::sync::Arc::new(log.clone()), &cancel).await;
        assert!(
            matches!(outcome, engine::Outcome::Completed { .. }),
            "{:#?}",
            log.lines()
        );
        let events = log.events.lock().unwrap();
        let answer = format!("{:?}", events.iter().rev().take(4).collect::<Vec<_>>());
        for part in wanted {
            assert!(answer.contains(part), "{part}: {answer}");
        }
        if answer.contains("chart.png") {
            let png = std::fs::read(folder.join("output/chart.png")).unwrap();
            assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000, "{}", png.len());
        }
        std::fs::remove_dir_all(folder.join("output")).unwrap();
    }
}
