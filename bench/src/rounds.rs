//! Performs the benchmark. Each round measures every part on every server. After the rounds come the parts that need
//! many runs or a separate server.

use std::path::Path;

use crate::{
    Result,
    callers::{Account, Protocol},
    children::{Folder, Helper},
    database::Rows,
    fill, growth, machine, mcp, neighbours,
    options::Options,
    parts::{CALLERS, Round},
    report::{note, say},
    sandbox, soak, starts,
    subjects::{Limits, Measured, REST, Stage, Subject, config},
    targets::{
        ANSWERED, Compared, DELIVERIES, FIRST_TRIPS, FULL, KNOWN, TRIPS, WAITING_CPU, WAITING_MEMORY, WITH_SERVERS,
        WITHOUT_SERVERS, WRONG_DELIVERIES,
    },
    waiting, webhooks,
};

const QUIET: usize = 200;

const HOW: &str = "\
StartRun: mode chat (no sandbox tools), limits on (credits, slots, threads and projects are counted), a one-token answer from a
scripted model in its own process. A run counts once its terminal event is durable; afterwards all events of every run are read back.
Each caller is an account; 16 gRPC callers share a connection, each JSON caller has its own. Server, model and callers share the
cores. CPU is the processor time of the server process. The floor is a bare axum and SQLite program that commits in groups, without
sign-in, limits and secondary indexes. All programs are measured in turn in each round. A ratio is computed in each round.
";

pub(crate) async fn measure(options: &Options) -> Result<()> {
    let folder = Folder::make(&options.folder)?;
    let stage = stage(options, folder.path()).await?;
    let described = machine::describe();
    let helpers = [stage.model.pid(), stage.echo.pid()];
    let round = Round {
        options,
        stage: &stage,
        folder: folder.path(),
        helpers: &helpers,
    };
    let mut all = Vec::new();
    if options.wants_rounds() {
        all = open_all(options, &stage, folder.path()).await?;
        for number in 1..=options.rounds {
            for measured in &mut all {
                note(&format!(
                    "round {number} of {}: {}",
                    options.rounds,
                    measured.subject.name()
                ));
                round.measure(measured).await?;
            }
        }
    }
    say(&format!(
        "Runyard {}: {} rounds; {described}",
        env!("CARGO_PKG_VERSION"),
        options.rounds,
    ));
    if !all.is_empty() {
        say(HOW);
        report(&finish(&round, all).await?, options);
    }
    let (program, on) = (
        options.servers.first().ok_or("no server to measure")?,
        config(&stage.model.line, Limits::On)?,
    );
    if options.wants("growth") {
        growth::measure(options, program, folder.path(), &on).await?;
    }
    if options.wants_soak() {
        soak::measure(options, program, folder.path(), &on).await?;
    }
    Ok(())
}

async fn stage(options: &Options, folder: &Path) -> Result<Stage> {
    let accounts = CALLERS.iter().map(|(callers, _)| *callers).max().unwrap_or(1);
    let mut rows = None;
    if options.database.is_some() && options.wants("database") {
        let (_, url) = fill::database(options.database.as_deref(), folder).await?;
        rows = Some(Rows::create(&url).await?);
    }
    Ok(Stage {
        model: Helper::start("model").await?,
        echo: Helper::start("echo").await?,
        accounts: (0..accounts)
            .map(|number| Account::new(&format!("caller-{number}")))
            .collect::<Result<_>>()?,
        watcher: Account::new("watcher")?,
        rows,
    })
}

/// Starts each program twice, with and without limits. With SQLite, also starts the minimal comparison server
/// (`floor.rs`).
async fn open_all(options: &Options, stage: &Stage, folder: &Path) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for (number, program) in options.servers.iter().enumerate() {
        let folder = folder.join(number.to_string());
        for limits in [Limits::On, Limits::Off] {
            let subject = Subject::server(options, stage, program, &folder, limits).await?;
            all.push(Measured::open(options, subject).await?);
        }
    }
    if options.database.is_none() {
        let (folder, models) = (folder.join("floor"), stage.model.line.clone());
        all.push(Measured::open(options, Subject::Floor { folder, models }).await?);
    }
    Ok(all)
}

async fn finish(round: &Round<'_>, all: Vec<Measured>) -> Result<Vec<Measured>> {
    let options = round.options;
    let mut finished = Vec::with_capacity(all.len());
    for mut measured in all {
        let has_limits = measured.subject.has_limits();
        if options.wants("memory") && (has_limits || measured.subject.is_floor()) {
            fill_up(round, &mut measured).await?;
            if options.wants("start-up") {
                measured = measured.restart_full().await?;
            }
        }
        if options.wants("neighbours") && has_limits {
            beside_noise(round, &mut measured).await?;
        }
        // An earlier build may not know the settings of MCP servers.
        if options.wants("mcp") && has_limits && finished.is_empty() {
            with_servers(round, &mut measured).await?;
        }
        // An earlier build may not have webhooks.
        if options.wants("webhooks") && has_limits && finished.is_empty() {
            with_webhooks(round, &mut measured).await?;
        }
        // An earlier build may not have client tools.
        if options.wants("waiting") && has_limits && finished.is_empty() {
            with_waiting_runs(round, &mut measured).await?;
        }
        finished.push(measured);
    }
    Ok(finished)
}

fn report(all: &[Measured], options: &Options) {
    let floor = all
        .iter()
        .find(|measured| measured.subject.is_floor())
        .map(|measured| &measured.figures);
    let servers: Vec<_> = all.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect();
    for (on, off) in &servers {
        say(&format!(
            "{}\n{}",
            on.subject.name(),
            on.figures.table(floor, &off.figures)
        ));
    }
    if let Some((on, off)) = servers.first() {
        let compared = Compared {
            on: &on.figures,
            off: &off.figures,
            floor,
            previous: servers.get(1).map(|(previous, _)| &previous.figures),
            cores: machine::cores(),
            has_database: options.database.is_some(),
            has_sandbox: sandbox::is_available(),
        };
        say(&compared.table());
    }
}

async fn fill_up(round: &Round<'_>, measured: &mut Measured) -> Result<()> {
    let target = measured.target(round.stage, round.helpers);
    let wanted = round.options.many_runs;
    while measured.runs < wanted {
        let more = (wanted - measured.runs).clamp(64, 5_000);
        note(&format!(
            "{}: {} of {wanted} runs",
            measured.subject.name(),
            measured.runs
        ));
        starts::measure(target, Protocol::Grpc, 64, more).await?;
        measured.runs += more + 64;
    }
    tokio::time::sleep(REST).await;
    let figures = &mut measured.figures;
    figures.add(FULL, "MiB", machine::memory_of(target.server)?);
    figures.add("runs on the server at the end", "runs", measured.runs as f64);
    Ok(())
}

/// Measures how a noisy account affects a quiet account (`neighbours.rs`), on a separate server with a rate limit.
async fn beside_noise(round: &Round<'_>, measured: &mut Measured) -> Result<()> {
    note("a noisy account next to a quiet one");
    let Some(server) = measured.subject.start_beside("neighbours", neighbours::CONFIG).await? else {
        return Ok(());
    };
    let (stage, starts) = (round.stage, QUIET / round.options.divisor);
    let found = neighbours::measure(server.address, &stage.watcher, &stage.accounts[0], starts).await?;
    server.stop().await?;
    let figures = &mut measured.figures;
    figures.add("a quiet account's StartRun, alone: p99", "ms", found.alone);
    figures.add("… next to one at 10 × its rate: p99", "ms", found.beside);
    figures.add("… refused starts of the noisy account", "%", found.refused);
    Ok(())
}

/// Uses a separate server that may connect to MCP servers on this machine.
async fn with_servers(round: &Round<'_>, measured: &mut Measured) -> Result<()> {
    note("runs with two MCP servers");
    let Some(server) = measured.subject.start_beside("mcp", mcp::CONFIG).await? else {
        return Ok(());
    };
    let runs = 40 / round.options.divisor;
    let found = mcp::measure(server.address, &round.stage.watcher, runs).await?;
    server.stop().await?;
    let figures = &mut measured.figures;
    figures.add(FIRST_TRIPS, "trips", found.first);
    figures.add(KNOWN, "trips", found.known);
    figures.add(TRIPS, "trips", found.later);
    figures.add(WITHOUT_SERVERS, "ms", found.answer_without);
    figures.add(WITH_SERVERS, "ms", found.answer_with);
    Ok(())
}

/// Uses a separate server that may send to a receiver on this machine.
async fn with_webhooks(round: &Round<'_>, measured: &mut Measured) -> Result<()> {
    note("deliveries to webhooks");
    let Some(server) = measured.subject.start_beside("webhooks", webhooks::CONFIG).await? else {
        return Ok(());
    };
    let runs = 500 / round.options.divisor;
    let found = webhooks::measure(server.address, &round.stage.watcher, runs).await?;
    server.stop().await?;
    let figures = &mut measured.figures;
    figures.add(DELIVERIES, "deliveries/s", found.rate);
    figures.add(WRONG_DELIVERIES, "deliveries", found.wrong);
    Ok(())
}

/// Uses a separate server, because its many waiting runs remain.
async fn with_waiting_runs(round: &Round<'_>, measured: &mut Measured) -> Result<()> {
    note("waiting runs");
    let Some(server) = measured.subject.start_beside("waiting", "").await? else {
        return Ok(());
    };
    let answers = 400 / round.options.divisor;
    let found = waiting::measure(server.address, server.pid(), &round.stage.watcher, answers).await?;
    server.stop().await?;
    let figures = &mut measured.figures;
    figures.add(ANSWERED, "ms", found.answered);
    figures.add(WAITING_MEMORY, "MiB", found.memory);
    figures.add(WAITING_CPU, "ms", found.cpu);
    Ok(())
}
