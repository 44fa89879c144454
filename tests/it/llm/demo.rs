//! Tests of the built-in model. A shell executes its tool calls without a sandbox.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use runyard::llm::{ChatMessage, Demo, EndReason, ModelRequest, ToolRequest, ToolSpec};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ask, bash_tool, question};

struct Desk {
    folder: TempDir,
    path: String,
    broken: BTreeSet<&'static str>,
    offered: Vec<&'static str>,
    calls: Vec<(String, Value)>,
    messages: Vec<ChatMessage>,
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self {
            folder,
            path: std::env::var("PATH").unwrap(),
            broken: BTreeSet::new(),
            offered: vec!["bash", "write"],
            calls: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Restricts PATH to the programs that every sandbox has.
    fn with_few_programs(mut self) -> Self {
        let programs = self.folder.path().join(".programs");
        fs::create_dir(&programs).unwrap();
        let names = ["sh", "awk", "head", "wc", "tr", "cat", "mkdir", "sort", "find"];
        for (name, found) in names.map(|name| (name, find_program(name))) {
            std::os::unix::fs::symlink(found, programs.join(name)).unwrap();
        }
        programs.to_str().unwrap().clone_into(&mut self.path);
        self
    }

    async fn say(&mut self, text: &str) -> String {
        self.messages.push(ChatMessage::user(text));
        for _ in 0..15 {
            let request = ModelRequest {
                model: "demo".to_owned(),
                system: "You are an agent.".to_owned(),
                messages: self.messages.clone(),
                tools: self.offered.iter().map(|name| spec(name)).collect(),
                max_output_tokens: 8192,
                ..question("")
            };
            let reply = ask(&Demo, request.clone()).await;
            assert_eq!(reply.end, Some(EndReason::Done));
            let usage = reply.usage.expect("an estimate");
            assert!(usage.input > 0 && usage.output > 0);
            let again = ask(&Demo, request).await;
            assert_eq!(
                (&reply.text, &reply.calls),
                (&again.text, &again.calls),
                "the same request gives the same answer"
            );
            self.messages.push(ChatMessage::Assistant {
                text: reply.text.clone(),
                tool_calls: reply.calls.clone(),
                carried: None,
            });
            if reply.calls.is_empty() {
                assert!(reply.deltas > 3, "the text arrives in small deltas");
                return reply.text;
            }
            for call in reply.calls {
                self.execute(&call);
            }
        }
        panic!("the model does not finish: {:?}", self.calls);
    }

    fn execute(&mut self, call: &ToolRequest) {
        let arguments: Value = serde_json::from_str(&call.arguments).expect("arguments are JSON");
        assert!(
            self.offered.contains(&call.name.as_str()),
            "{} was not offered",
            call.name
        );
        self.calls.push((call.name.clone(), arguments.clone()));
        let answer = if self.broken.contains(call.name.as_str()) {
            Err("the tool is out of order".to_owned())
        } else {
            self.run(&call.name, &arguments)
        };
        let (text, is_error) = answer.map_or_else(|text| (text, true), |text| (text, false));
        let (tool_call_id, name) = (call.id.clone(), call.name.clone());
        self.messages.push(ChatMessage::Tool {
            tool_call_id,
            name,
            text,
            images: Vec::new(),
            is_error,
        });
    }

    fn run(&self, tool: &str, arguments: &Value) -> Result<String, String> {
        let path = || self.folder.path().join(arguments["path"].as_str().expect("a path"));
        match tool {
            "bash" => {
                let output = Command::new("/bin/sh")
                    .args(["-c", arguments["command"].as_str().expect("a command")])
                    .current_dir(self.folder.path())
                    .env_clear()
                    .env("PATH", &self.path)
                    .output()
                    .unwrap();
                let all = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&all).into_owned();
                if output.status.success() {
                    Ok(text)
                } else {
                    Err(format!("{text}\n{}", output.status))
                }
            }
            "write" => {
                fs::create_dir_all(path().parent().unwrap()).unwrap();
                fs::write(path(), arguments["content"].as_str().unwrap()).unwrap();
                Ok("written".to_owned())
            }
            other => panic!("unknown tool {other}"),
        }
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// Returns the chart, which must be well-formed and without invalid numbers.
    fn chart(&self) -> String {
        let svg = self.file("output/chart.svg");
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.trim_end().ends_with("</svg>"));
        assert_well_formed(&svg);
        assert!(!svg.contains("nan") && !svg.contains("inf"), "{svg}");
        svg
    }
}

fn find_program(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/bin", "/usr/local/bin"];
    places
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.exists())
        .expect(name)
}

fn spec(name: &str) -> ToolSpec {
    if name == "bash" {
        return bash_tool();
    }
    ToolSpec {
        name: name.to_owned(),
        description: format!("The tool {name}."),
        parameters: json!({"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}}),
    }
}

fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "a bare >: {part}");
        for entity in text.split('&').skip(1) {
            assert!(
                ["amp;", "lt;", "gt;", "quot;"]
                    .iter()
                    .any(|known| entity.starts_with(known)),
                "{text}"
            );
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

const SALES: &str = "date,region,product,units,revenue\n\
    2026-01-03,North,Lamp,3,120.50\n2026-01-09,South,Desk,1,300\n2026-01-20,North,Chair,4,240.00\n\
    2026-02-02,East,Lamp,2,80.25\n2026-02-11,South,Lamp,5,200.75\n2026-02-25,North,Desk,2,600\n\
    2026-03-01,East,Chair,1,60\n2026-03-15,West,Desk,3,900\n2026-03-28,South,Chair,6,360\n";

async fn analyze(files: &[(&str, &str)], prompt: &str) -> (String, Desk) {
    let mut desk = Desk::new(files).with_few_programs();
    let answer = desk.say(prompt).await;
    (answer, desk)
}

#[tokio::test]
async fn a_table_with_dates_becomes_a_report_and_a_line_chart() {
    let prompt = "Analyze data.csv and create visualizations\n\nFiles in /workspace: data.csv";
    let (answer, desk) = analyze(&[("data.csv", SALES)], prompt).await;
    for expected in [
        "9 rows",
        "5 columns",
        "2,861.5",
        "2026-03-15 with 900",
        "output/report.md",
        "output/chart.svg",
    ] {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    let report = desk.file("output/report.md");
    for expected in [
        "# data.csv",
        "9 rows, 5 columns",
        "![Revenue by date](chart.svg)",
        "| 2026-01-09 | 300 |",
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let chart = desk.chart();
    for expected in [
        "<polyline",
        ">Revenue by date<",
        ">sum of revenue<",
        ">2026-01-03<",
        ">800<",
    ] {
        assert!(chart.contains(expected), "{expected}: {chart}");
    }
    let tools: Vec<&str> = desk.calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(tools, ["bash", "write", "bash"], "looks, writes, runs");
}

#[tokio::test]
async fn the_prompt_selects_the_columns() {
    let (answer, desk) = analyze(&[("data.csv", SALES)], "Chart the units by region of data.csv").await;
    assert!(
        answer.contains("**Units by region**") && answer.contains("Highest: South with 12"),
        "{answer}"
    );
    let chart = desk.chart();
    assert!(
        chart.contains(">North<") && chart.contains("<title>South: 12</title>"),
        "{chart}"
    );
}

#[tokio::test]
async fn tables_in_many_formats_are_understood() {
    let quoted = "name,note,amount\n\"Müller, Anna\",\"said \"\"hi\"\" & left <b>\",\"1,200.50\"\n\
        \"O'Neil\",\"two\nlines\",300\n\"Müller, Anna\",,-50\nLee,n/a,\n";
    let semicolons = "Stadt;Umsatz\nBerlin;1.200,50\nKöln;800,25\nBerlin;99,25\n";
    let tabs = "country\tpopulation\nChad\t17000000\nPeru\t34000000\nFiji\t900000\n";
    let table: Vec<(&str, &str, Vec<&str>)> = vec![
        (
            "quoted.csv",
            quoted,
            vec![
                "Müller, Anna with 1,150.5",
                "O'Neil with 300",
                "4 rows",
                "Total: 1,450.5",
            ],
        ),
        (
            "umsatz.csv",
            semicolons,
            vec!["Berlin with 1,299.75", "Köln with 800.25", "separated by semicolons"],
        ),
        (
            "countries.tsv",
            tabs,
            vec!["Peru with 34,000,000", "Total: 51,900,000", "separated by tabs"],
        ),
        (
            "months.csv",
            "month,visits\nJan,5\nFeb,9\nMar,2\n",
            vec!["Feb with 9, then Jan with 5 and Mar with 2"],
        ),
        (
            "pipes.csv",
            "who|price\na|$10.00\nb|$20.00\na|$30.00\nb|$2\na|$3\n",
            vec!["Highest: a with 14.33", "Average price"],
        ),
        (
            "plain.csv",
            "1,5\n2,6\n3,7\n",
            vec!["3 rows", "column 1", "Distribution of column 1"],
        ),
        (
            "words.csv",
            "color,size\nred,L\nblue,M\nred,S\nred,L\n",
            vec!["red with 3", "Rows by color"],
        ),
        (
            "years.csv",
            "country,year,population\nChad,2001,5\nChad,2002,6\nPeru,2001,7\nPeru,2003,1\n",
            vec!["Population by year", "2001 with 12"],
        ),
        (
            "lines.csv",
            "city,n\r\nRome,1\r\n\r\nOslo,2\r\nRome,4\r\n",
            vec!["Rome with 5", "3 rows"],
        ),
        (
            "bom.csv",
            "\u{feff}city,n\nRome,1\nOslo,2\n",
            vec!["Oslo with 2", "city (text)"],
        ),
        ("zero.csv", "city,n\nRome,0\nOslo,0\n", vec!["Oslo with 0"]),
        (
            "minus.csv",
            "city,n\nRome,-5\nOslo,-2.5\n",
            vec!["Oslo with -2.5", "Total: -7.5"],
        ),
        ("odd names.csv", "city,n\nRome,1\n", vec!["Rome with 1"]),
        (
            "it's.csv",
            "a|b,\"$(touch x) `ls` \\ 'q'\"\nRome,1\nOslo,2\n",
            vec!["Oslo with 2"],
        ),
        ("-n.csv", "city,n\nRome,1\nOslo,2\n", vec!["Oslo with 2"]),
        ("ragged.csv", "a,b,c\nx,1\ny,2,3,4\nz\n", vec!["3 rows", "y with 2"]),
    ];
    for (name, content, expected) in table {
        let prompt = format!("What is in it?\n\nFiles in /workspace: {name}");
        let (answer, desk) = analyze(&[(name, content)], &prompt).await;
        for expected in expected {
            assert!(answer.contains(expected), "{name}: {expected}: {answer}");
        }
        desk.chart();
        assert!(!desk.has("x"), "{name}: part of a file or column name was executed");
    }
}

#[tokio::test]
async fn a_table_without_rows_is_reported_as_empty() {
    let (answer, desk) = analyze(&[("head.csv", "name,amount\n")], "Analyze head.csv").await;
    assert!(answer.contains("0 rows") && answer.contains("no rows, so"), "{answer}");
    assert!(!desk.has("output/chart.svg") && desk.file("output/report.md").contains("0 rows, 2 columns"));

    for (content, expected) in [("", "is empty"), ("\n\n  \n", "only blank lines")] {
        let mut desk = Desk::new(&[("nothing.csv", content)]);
        let answer = desk.say("Analyze nothing.csv").await;
        assert!(answer.contains(expected), "{answer}");
        assert!(!desk.has("output"));
    }
    let mut desk = Desk::new(&[]);
    let answer = desk.say("Analyze missing.csv").await;
    assert!(answer.contains("There is no file missing.csv"), "{answer}");
}

#[tokio::test]
async fn a_large_table_is_read_by_the_script_and_not_by_the_model() {
    let mut text = String::from("day,sensor,value\n");
    for n in 0..60_000_u32 {
        writeln!(
            text,
            "{}-{:02}-{:02},s{},{}",
            2001 + n % 20,
            1 + n % 12,
            1 + n % 28,
            n % 500,
            n % 97
        )
        .unwrap();
    }
    let (answer, desk) = analyze(&[("big.csv", &text)], "Analyze big.csv").await;
    assert!(answer.contains("60000 rows"), "{answer}");
    let read: usize = desk
        .messages
        .iter()
        .map(|message| {
            if let ChatMessage::Tool { text, .. } = message {
                text.len()
            } else {
                0
            }
        })
        .sum();
    assert!(read < 5_000, "{read} bytes of {} were shown to the model", text.len());
    assert!(desk.chart().len() < 60_000);
}

#[tokio::test]
async fn a_failing_tool_leads_to_a_fallback_or_an_explanation() {
    let prompt = "Analyze data.csv";
    let mut desk = Desk::new(&[("data.csv", SALES)]);
    desk.broken.insert("write");
    let answer = desk.say(prompt).await;
    assert!(
        answer.contains("2,861.5") && desk.has("output/chart.svg"),
        "the shell writes the script: {answer}"
    );

    let mut desk = Desk::new(&[("data.csv", SALES)]);
    desk.broken.insert("bash");
    let answer = desk.say(prompt).await;
    assert!(
        answer.contains("could not look at data.csv") && answer.contains("out of order"),
        "{answer}"
    );

    let mut desk = Desk::new(&[("data.csv", SALES)]);
    desk.offered = vec!["bash"];
    let answer = desk.say(prompt).await;
    assert!(
        answer.contains("2,861.5") && desk.has("output/chart.svg"),
        "bash alone is enough: {answer}"
    );
}

#[tokio::test]
async fn a_failing_script_is_explained() {
    let mut desk = Desk::new(&[("data.csv", SALES)]).with_few_programs();
    fs::remove_file(desk.folder.path().join(".programs/awk")).unwrap();
    let answer = desk.say("Analyze data.csv").await;
    assert!(
        answer.contains("my script failed") && answer.contains("awk"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_message_names_a_file() {
    for (message, file) in [
        ("Analyze data.csv and create visualizations", "data.csv"),
        ("go\n\nFiles in /workspace: b.txt, my data.csv", "my data.csv"),
        (
            "go\n\nFiles in /workspace: my data.csv\n\n<document>\nother.csv\n</document>",
            "my data.csv",
        ),
        ("what is in b.txt?\n\nFiles in /workspace: a.csv, b.txt", "b.txt"),
        ("see `/workspace/a.csv`.", "a.csv"),
        ("compare \"a.txt\" to c.csv's rows!", "c.csv"),
    ] {
        let answer = Desk::new(&[]).say(message).await;
        assert_eq!(
            answer,
            format!("There is no file {file} in the workspace."),
            "{message}"
        );
    }
    let answer = Desk::new(&[])
        .say("version 1.5, e.g. https://x.org/a.csv or ../../etc/a.csv")
        .await;
    assert!(answer.contains("built-in demo model"), "{answer}");
}

/// `samples.ts` creates the files of these examples.
#[tokio::test]
async fn the_examples_of_the_console_get_useful_answers() {
    let table = "month,region,product,units,revenue\n2025-01,North,Tent,70,13230.00\n2025-01,South,Stove,90,5805.00\n\
        2025-02,North,Backpack,120,15480.00\n2025-03,South,Tent,180,34020.00\n";
    let (answer, desk) = analyze(&[("data.csv", table)], "Analyze data.csv and create visualizations").await;
    assert!(answer.contains("Highest: 2025-03 with 34,020"), "{answer}");
    assert!(desk.chart().contains("<polyline"));

    let notes = "Meeting of the yard crew, Tuesday\n\n\
        Track 4 stays closed until the switch is replaced. The part comes on Thursday; Mara checks it when it arrives.\n\
        The night shift asks for better light between the shed and track 2. Jon mounts them.\n\
        The new timetable starts on the first of the month. Freight then comes an hour earlier, so the\n\
        crane has to be ready by five. There were no objections.\nOpen: who trains the two newcomers?\n";
    let mut desk = Desk::new(&[("notes.txt", notes)]).with_few_programs();
    let answer = desk.say("Summarize notes.txt in three sentences").await;
    let chosen: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    assert_eq!(
        chosen,
        [
            "Track 4 stays closed until the switch is replaced.",
            "The night shift asks for better light between the shed and track 2.",
            "The new timetable starts on the first of the month.",
        ]
    );
    assert!(desk.file("output/report.md").contains(chosen[2]));

    let mut log = String::new();
    for minute in 0..60 {
        writeln!(log, "2025-11-04 10:{minute:02}:01 GET /search 200 {} ms", 20 + minute).unwrap();
        let (status, took) = if (30..34).contains(&minute) {
            (503, 1_800 + minute)
        } else {
            (200, 40)
        };
        writeln!(log, "2025-11-04 10:{minute:02}:31 GET /checkout {status} {took} ms").unwrap();
    }
    let mut desk = Desk::new(&[("server.log", &log)]).with_few_programs();
    let answer = desk
        .say("Write a script that finds the slowest requests and the errors in server.log, and run it")
        .await;
    for expected in [
        "120 lines, 120 requests and 4 errors (from 10:30:31 to 10:33:31)",
        "Slowest on average: `GET /checkout`",
        "`GET /checkout` with 4 of 4",
        "- `2025-11-04 10:33:31 GET /checkout 503 1833 ms`",
        "output/find.sh",
    ] {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    assert!(
        desk.file("output/report.md")
            .contains("| `GET /search` | 60 | 0 | 50 | 79 |")
    );
}

#[tokio::test]
async fn other_files_are_found_and_summarised() {
    let poem = "The sea is wide\nthe sea is deep\n\nthe SEAGULLS sleep\n";
    let mut desk = Desk::new(&[("poem.txt", poem)]).with_few_programs();
    let answer = desk.say("Summarize this\n\nFiles in /workspace: poem.txt").await;
    for expected in ["4 lines (1 of them blank)", "11 words", "52 bytes", "output/report.md"] {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    assert!(
        desk.file("output/report.md").contains("| seagulls | 1 |"),
        "{}",
        desk.file("output/report.md")
    );

    let mut desk = Desk::new(&[("deep/er/sales.csv", SALES), ("note.txt", "hi")]);
    let answer = desk.say("Please make a chart of my data").await;
    assert!(
        answer.contains("deep/er/sales.csv") && answer.contains("2,861.5"),
        "{answer}"
    );
    let answer = desk.say("And the units by product?").await;
    assert!(
        answer.contains("built-in demo model"),
        "a question without a file is not answered by guessing: {answer}"
    );
    let answer = desk.say("Make a chart of the units by product in that file").await;
    assert!(answer.contains("**Units by product**"), "{answer}");

    let mut desk = Desk::new(&[]);
    fs::write(desk.folder.path().join("photo.bin"), [0_u8, 159, 146, 150, 0, 1]).unwrap();
    let answer = desk.say("What is this?\n\nFiles in /workspace: photo.bin").await;
    assert!(answer.contains("not text") && answer.contains("6 bytes"), "{answer}");
}

#[tokio::test]
async fn without_files_or_tools_the_model_says_it_is_a_demo() {
    for prompt in [
        "What is the capital of France?",
        "Write a Python function that sorts a list",
        "",
        "hi 🦀",
    ] {
        let mut desk = Desk::new(&[]);
        let answer = desk.say(prompt).await;
        assert!(
            answer.contains("built-in demo model") && answer.contains("RUNYARD_OPENAI_BASE_URL"),
            "{prompt}: {answer}"
        );
        assert!(!answer.contains("Paris") && desk.calls.is_empty(), "{prompt}");
    }
    let mut desk = Desk::new(&[]);
    let answer = desk.say("Analyze my data and draw a chart").await;
    assert!(answer.contains("no file in the workspace"), "{answer}");
    assert_eq!(desk.calls.len(), 1, "it listed the workspace");

    let mut desk = Desk::new(&[("data.csv", SALES)]);
    desk.offered.clear();
    let answer = desk.say("Analyze data.csv").await;
    assert!(
        answer.contains("no tools in this run") && desk.calls.is_empty(),
        "{answer}"
    );
}
