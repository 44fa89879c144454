//! Runs the parts of the benchmark in order: starts the servers, measures all parts one after another in each round,
//! and finally measures the parts that need a server with many runs.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Result,
    callers::{Account, Protocol},
    children::{Folder, Helper, Place, SLOW, Server},
    fill, growth,
    live::Live,
    machine::{self, Usage},
    neighbours,
    options::Options,
    report::{FDATASYNC, Figures, median, note, say},
    soak,
    starts::{self, Target},
    tokens,
};

/// Numbers of concurrent callers, each with its number of `StartRun` calls per round.
const CALLERS: [(usize, usize); 3] = [(1, 400), (16, 2_000), (64, 2_000)];
/// Number of live streams that are open while `StartRun` is measured under load.
const LIVE: usize = 100;
/// Duration of the measurement of live streams without `StartRun` calls.
const PACED: Duration = Duration::from_secs(8);
/// Numbers of concurrent runs in the token measurement, each with the number of repetitions per round.
const TALKING: [(usize, usize); 2] = [(1, 20), (100, 4)];
/// Number of measurements of the time to the first token per round.
const FIRSTS: usize = 60;
/// Number of `StartRun` calls of the quiet account in each of its two measurements.
const QUIET: usize = 200;
/// Number of durable writes per probe of the disk.
const PROBES: usize = 100;
/// Number of restarts that measure the start-up time with existing data.
const START_UPS: usize = 5;
/// Idle time of a server before its memory is read.
const REST: Duration = Duration::from_secs(2);

/// Explanation of the figures, printed above them.
const HOW: &str = "\
StartRun: mode chat (no sandbox tools), limits on (credits, slots, threads and projects are counted), a one-token answer from a
scripted model in its own process. A run counts once its terminal event is durable; afterwards all events of every run are read back.
Each caller is an account; 16 gRPC callers share a connection, each JSON caller has its own. Server, model and callers share the
cores. CPU is the processor time of the server process. The last column has the same figures with limits off.
";

/// The helper processes, and the accounts with which the benchmark calls the servers.
struct Stage {
    model: Helper,
    echo: Helper,
    accounts: Vec<Account>,
    watcher: Account,
}

/// A server under measurement.
struct Measured {
    program: PathBuf,
    folder: PathBuf,
    limits: Limits,
    server: Server,
    figures: Figures,
    runs: usize,
}

/// Whether limits are enforced and credits are charged.
#[derive(Clone, Copy)]
enum Limits {
    On,
    Off,
}

impl Limits {
    fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// Measures all parts and prints the result.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    let folder = Folder::make(&options.folder)?;
    let accounts = CALLERS.iter().map(|(callers, _)| *callers).max().unwrap_or(1);
    let stage = Stage {
        model: Helper::start("model").await?,
        echo: Helper::start("echo").await?,
        accounts: (0..accounts)
            .map(|number| Account::new(&format!("caller-{number}")))
            .collect::<Result<_>>()?,
        watcher: Account::new("watcher")?,
    };
    let described = machine::describe();
    let on = config(&stage.model.line, Limits::On)?;
    let mut all = Vec::new();
    if options.wants_rounds() {
        for (number, program) in options.servers.iter().enumerate() {
            all.push(pair(options, &stage, program, &folder.path().join(number.to_string())).await?);
        }
    }
    for round in 1..=if all.is_empty() { 0 } else { options.rounds } {
        for measured in all.iter_mut().flatten() {
            note(&format!(
                "round {round} of {}: {}, limits {}",
                options.rounds,
                measured.program.display(),
                measured.limits.name()
            ));
            one_round(options, &stage, folder.path(), measured).await?;
        }
    }
    say(&format!(
        "Runyard {}: {} rounds; {described}",
        env!("CARGO_PKG_VERSION"),
        options.rounds,
    ));
    if options.wants_rounds() {
        say(HOW);
    }
    for [mut measured, mut off] in all {
        if options.wants("memory") {
            fill_up(options, &stage, &mut measured).await?;
        }
        if options.wants("neighbours") {
            beside_noise(options, &stage, &on, &mut measured).await?;
        }
        ratios(&mut measured.figures);
        ratios(&mut off.figures);
        say(&format!(
            "{}\n{}",
            measured.program.display(),
            measured.figures.table(&off.figures)
        ));
        measured.server.stop().await?;
        off.server.stop().await?;
    }
    let program = options.servers.first().ok_or("no server to measure")?;
    if options.wants("growth") {
        growth::measure(options, program, folder.path(), &on).await?;
    }
    if options.wants_soak() {
        soak::measure(options, program, folder.path(), &on).await?;
    }
    Ok(())
}

/// Starts two servers of one program, one with limits and one without.
async fn pair(options: &Options, stage: &Stage, program: &Path, folder: &Path) -> Result<[Measured; 2]> {
    let mut both = Vec::new();
    for limits in [Limits::On, Limits::Off] {
        let folder = folder.join(limits.name());
        let (database, _) = fill::database(options.database.as_deref(), &folder).await?;
        let place = Place {
            program,
            folder: &folder,
            config: &config(&stage.model.line, limits)?,
            database: database.as_deref(),
        };
        both.push(open(options, &place, limits).await?);
    }
    both.try_into().map_err(|_| "two servers are a pair".into())
}

/// Starts a server several times to measure its start-up time. The last server process keeps running.
async fn open(options: &Options, place: &Place<'_>, limits: Limits) -> Result<Measured> {
    let mut figures = Figures::default();
    let mut server = Server::start(place).await?;
    if options.wants("start-up") {
        figures.add("start-up, new data folder", "ms", machine::millis(server.start_up));
        for _ in 0..START_UPS {
            server.stop().await?;
            server = Server::start(place).await?;
            figures.add("start-up, existing data", "ms", machine::millis(server.start_up));
        }
    }
    if options.wants("memory") {
        tokio::time::sleep(REST).await;
        figures.add("memory, idle", "MiB", machine::memory_of(server.pid())?);
    }
    Ok(Measured {
        program: place.program.to_owned(),
        folder: place.folder.to_owned(),
        limits,
        server,
        figures,
        runs: 0,
    })
}

async fn one_round(options: &Options, stage: &Stage, folder: &Path, measured: &mut Measured) -> Result<()> {
    let helpers = [stage.model.pid(), stage.echo.pid()];
    let target = Target {
        address: measured.server.address,
        server: measured.server.pid(),
        helpers: &helpers,
        accounts: &stage.accounts,
    };
    let figures = &mut measured.figures;
    if options.wants("probe") {
        let mut times = machine::probe_fdatasync(folder, PROBES)?;
        times.sort_unstable_by(f64::total_cmp);
        figures.add(FDATASYNC, "ms", median(&times));
        let calls = 10_000 / options.divisor;
        let (rate, p99) = starts::echo(tokens::address(&stage.echo.line)?, &stage.watcher, 16, calls).await?;
        figures.add("bare gRPC echo, 16 callers", "calls/s", rate);
        figures.add("bare gRPC echo, 16 callers: p99", "ms", p99);
    }
    if options.wants("starts") {
        for (callers, starts) in CALLERS {
            for protocol in [Protocol::Grpc, Protocol::Json] {
                let starts = starts / options.divisor;
                let found = starts::measure(target, protocol, callers, starts).await?;
                measured.runs += starts + callers;
                started(figures, &format!("StartRun {callers} {}", protocol.name()), &found);
            }
        }
    }
    if options.wants("tokens") {
        for (runs, waves) in TALKING {
            let found = tokens::measure(target, runs, waves).await?;
            measured.runs += runs * waves + 1;
            let name = format!("{runs} × {} tokens", crate::children::TOKENS);
            figures.add(format!("{name}: tokens"), "tokens/s", found.tokens);
            figures.add(format!("{name}: events"), "events/s", found.events);
            figures.add(format!("{name}: CPU/event"), "µs", found.cpu);
            figures.add("other programs on the machine", "% core", found.used.others);
        }
    }
    if options.wants("first") {
        let [one, ..] = tokens::models(&stage.model.line)?;
        let (mut through, mut direct) = tokens::first(target, one, FIRSTS / options.divisor).await?;
        measured.runs += through.len() + 1;
        through.sort_unstable_by(f64::total_cmp);
        direct.sort_unstable_by(f64::total_cmp);
        figures.add("first token, model alone", "ms", median(&direct));
        figures.add("first token, added", "ms", median(&through) - median(&direct));
    }
    if options.wants("streams") {
        with_streams(options, target, &stage.watcher, measured).await?;
    }
    Ok(())
}

async fn with_streams(options: &Options, target: Target<'_>, watcher: &Account, measured: &mut Measured) -> Result<()> {
    let live = Live::open(target, watcher, LIVE).await?;
    let figures = &mut measured.figures;
    figures.add("memory, 100 live streams", "MiB", machine::memory_of(target.server)?);
    let usage = Usage::begin(target.server, target.helpers)?;
    tokio::time::sleep(PACED).await;
    let tokens = LIVE as f64 * PACED.as_secs_f64() / SLOW.1.as_secs_f64();
    let cpu = usage.so_far()?.server.as_secs_f64() * 1e6 / tokens;
    figures.add("100 live streams × 10 tokens/s: CPU/token", "µs", cpu);
    let starts = 2_000 / options.divisor;
    for protocol in [Protocol::Grpc, Protocol::Json] {
        let found = starts::measure(target, protocol, 16, starts).await?;
        started(figures, &format!("… beside 100 streams, {}", protocol.name()), &found);
    }
    let events = live.close(target).await?;
    measured.runs += 2 * (starts + 16) + LIVE;
    measured
        .figures
        .add("… events of the 100 streams", "events", events as f64);
    Ok(())
}

fn started(figures: &mut Figures, name: &str, found: &starts::Found) {
    figures.add(format!("{name}: executed"), "runs/s", found.executed);
    figures.add(format!("{name}: p50"), "ms", found.p50);
    figures.add(format!("{name}: p99"), "ms", found.p99);
    figures.add(format!("{name}: server CPU/run"), "ms", found.cpu);
    figures.add(format!("{name}: thread waits/run"), "waits", found.waits);
    figures.add("events of such a run", "events", found.events);
    figures.add("other programs on the machine", "% core", found.used.others);
}

/// Starts runs until the server has the configured number of runs, and then reads the server's memory.
async fn fill_up(options: &Options, stage: &Stage, measured: &mut Measured) -> Result<()> {
    let target = Target {
        address: measured.server.address,
        server: measured.server.pid(),
        helpers: &[stage.model.pid(), stage.echo.pid()],
        accounts: &stage.accounts,
    };
    while measured.runs < options.many_runs {
        let more = (options.many_runs - measured.runs).clamp(64, 5_000);
        note(&format!("{} of {} runs", measured.runs, options.many_runs));
        starts::measure(target, Protocol::Grpc, 64, more).await?;
        measured.runs += more + 64;
    }
    tokio::time::sleep(REST).await;
    let name = format!("memory, after {} runs", measured.runs);
    measured.figures.add(name, "MiB", machine::memory_of(target.server)?);
    Ok(())
}

/// Measures the effect of a noisy account on a quiet account, on a separate server with a rate limit.
async fn beside_noise(options: &Options, stage: &Stage, config: &str, measured: &mut Measured) -> Result<()> {
    note("a noisy account next to a quiet one");
    let place = Place {
        program: &measured.program,
        folder: &measured.folder.join("neighbours"),
        config: &format!("{config}{}", neighbours::CONFIG),
        database: None,
    };
    let server = Server::start(&place).await?;
    let starts = QUIET / options.divisor;
    let found = neighbours::measure(server.address, &stage.watcher, &stage.accounts[0], starts).await?;
    server.stop().await?;
    let figures = &mut measured.figures;
    figures.add("a quiet account's StartRun, alone: p99", "ms", found.alone);
    figures.add("… next to one at 10 × its rate: p99", "ms", found.beside);
    figures.add("… refused starts of the noisy account", "%", found.refused);
    Ok(())
}

fn ratios(figures: &mut Figures) {
    for (callers, _) in CALLERS {
        let rate = |protocol: &str| figures.median(&format!("StartRun {callers} {protocol}: executed"));
        if let (Some(grpc), Some(json)) = (rate("gRPC"), rate("JSON")) {
            figures.add(format!("StartRun {callers} JSON/gRPC: executed"), "", json / grpc);
        }
    }
}

/// Returns the configuration of the servers. It contains the scripted models, and a plan with limits that are checked
/// but never reached. All other settings except the limit on new accounts are the defaults.
fn config(model: &str, limits: Limits) -> Result<String> {
    let urls = tokens::models(model)?;
    let names = ["one", "many", "slow", "tools"];
    // All accounts are created from one address, so the limit on new accounts per address is turned off.
    let mut text = format!(
        "limits = \"{}\"\n[auth]\nnew_accounts_per_address = \"off\"\n",
        limits.name()
    );
    for (name, url) in names.iter().zip(urls) {
        let _ = write!(
            text,
            "[providers.{name}]\nkind = \"openai\"\nbase_url = \"{url}\"\napi_key = \"sk-bench\"\n\
             [[models]]\nname = \"bench/{name}\"\nprovider = \"{name}\"\nupstream = \"scripted\"\n\
             context_window = 128000\nmax_output_tokens = 8192\ninput_price = 0.3\noutput_price = 1.2\n"
        );
    }
    text.push_str(
        "[[tiers]]\nname = \"bench\"\nconcurrent_runs = 1000000\nagents = 1000000\nthreads = 100000000\n\
         projects = 100000000\nmodels = [\"*\"]\ndefault_model = \"bench/one\"\nmax_upload_bytes = 1000000\n\
         credits_granted = 1000000000\n",
    );
    Ok(text)
}
