//! Measures one part of a round, such as `starts` or `tokens`, on one server. Adds the results to the server's
//! figures.

use std::{path::Path, time::Duration};

use crate::{
    Result,
    callers::Protocol,
    calls::{self, CALLERS as SHARING},
    children::{SLOW, TOKENS, models},
    live::Live,
    machine::{self, Usage},
    many,
    options::Options,
    paced::Load,
    report::{Figures, median},
    sandbox, starts,
    subjects::{Measured, Stage},
    targets::{DELIVERED, ECHO_GETS, FDATASYNC, FIRST, GETS, LOST, PACED_CPU, ROWS_ALONE, SLOWEST, STREAMING, TRUE},
    tokens,
};

/// Pairs of a number of concurrent callers and the number of their `StartRun` calls per round.
pub(crate) const CALLERS: [(usize, usize); 3] = [(1, 400), (16, 2_000), (64, 2_000)];
/// Number of live streams that load the server while `StartRun` is measured.
const LIVE: usize = 100;
/// Duration of the measurement of live streams alone.
const PACED: Duration = Duration::from_secs(8);
/// Pairs of a number of concurrent runs and the number of repetitions per round, for the token measurement.
const TALKING: [(usize, usize); 2] = [(1, 20), (100, 4)];
const FIRSTS: usize = 60;
const PROBES: usize = 100;
const CALLS: usize = 10_000;

pub(crate) struct Round<'a> {
    pub(crate) options: &'a Options,
    pub(crate) stage: &'a Stage,
    /// The folder whose disk is probed.
    pub(crate) folder: &'a Path,
    /// Process ids of the scripted models and the echo server.
    pub(crate) helpers: &'a [u32],
}

impl Round<'_> {
    pub(crate) async fn measure(&self, measured: &mut Measured) -> Result<()> {
        let (is_floor, has_limits) = (measured.subject.is_floor(), measured.subject.has_limits());
        let wants = |part: &str| self.options.wants(part);
        if wants("probe") {
            self.probe(&mut measured.figures).await?;
        }
        if wants("starts") {
            self.starts(measured).await?;
        }
        if wants("reads") && !is_floor {
            self.reads(measured).await?;
        }
        if wants("tokens") {
            self.tokens(measured).await?;
        }
        if wants("first") {
            self.first(measured).await?;
        }
        if wants("streams") {
            self.streams(measured).await?;
        }
        if wants("many") {
            self.many(measured).await?;
        }
        if wants("sandbox") && has_limits && sandbox::is_available() {
            self.sandbox(measured).await?;
        }
        if wants("database")
            && has_limits
            && let Some(rows) = &self.stage.rows
        {
            measured.figures.add(ROWS_ALONE, "starts/s", rows.measure().await?);
        }
        Ok(())
    }

    async fn probe(&self, figures: &mut Figures) -> Result<()> {
        let mut times = machine::probe_fdatasync(self.folder, PROBES)?;
        times.sort_unstable_by(f64::total_cmp);
        figures.add(FDATASYNC, "ms", median(&times));
        let address = tokens::address(&self.stage.echo.line)?;
        let count = CALLS / self.options.divisor;
        let (rate, p99) = calls::echo_starts(address, &self.stage.watcher, count).await?;
        figures.add("bare gRPC echo of StartRun, 16 callers", "calls/s", rate);
        figures.add("bare gRPC echo of StartRun, 16 callers: p99", "ms", p99);
        Ok(())
    }

    async fn starts(&self, measured: &mut Measured) -> Result<()> {
        let target = measured.target(self.stage, self.helpers);
        for (callers, starts) in CALLERS {
            for protocol in [Protocol::Grpc, Protocol::Json] {
                let starts = starts / self.options.divisor;
                let found = starts::measure(target, protocol, callers, starts).await?;
                measured.runs += starts + callers;
                let name = format!("StartRun {callers} {}", protocol.name());
                started(&mut measured.figures, &name, &found);
            }
        }
        Ok(())
    }

    async fn reads(&self, measured: &mut Measured) -> Result<()> {
        let count = CALLS / self.options.divisor;
        let echo = tokens::address(&self.stage.echo.line)?;
        let rate = calls::server_gets(measured.server.address, &self.stage.watcher, count).await?;
        measured.runs += 1;
        measured.figures.add(GETS, "calls/s", rate);
        let rate = calls::echo_gets(echo, &self.stage.watcher, count).await?;
        measured.figures.add(ECHO_GETS, "calls/s", rate);
        Ok(())
    }

    async fn tokens(&self, measured: &mut Measured) -> Result<()> {
        let target = measured.target(self.stage, self.helpers);
        let figures = &mut measured.figures;
        for (runs, waves) in TALKING {
            let found = tokens::measure(target, runs, waves).await?;
            measured.runs += runs * waves + 1;
            let name = format!("{runs} × {TOKENS} tokens");
            figures.add(format!("{name}: tokens"), "tokens/s", found.tokens);
            figures.add(format!("{name}: events"), "events/s", found.events);
            figures.add(format!("{name}: CPU/event"), "µs", found.cpu);
            figures.add("other programs on the machine", "% core", found.used.others);
        }
        Ok(())
    }

    async fn first(&self, measured: &mut Measured) -> Result<()> {
        let target = measured.target(self.stage, self.helpers);
        let models = models(&self.stage.model.line)?;
        let (_, one) = models.first().ok_or("there is no model")?;
        let (mut through, mut direct) = tokens::first(target, one, FIRSTS / self.options.divisor).await?;
        measured.runs += through.len() + 1;
        through.sort_unstable_by(f64::total_cmp);
        direct.sort_unstable_by(f64::total_cmp);
        let figures = &mut measured.figures;
        figures.add("first token, model alone", "ms", median(&direct));
        figures.add(FIRST, "ms", median(&through) - median(&direct));
        Ok(())
    }

    async fn streams(&self, measured: &mut Measured) -> Result<()> {
        let target = measured.target(self.stage, self.helpers);
        let live = Live::open(target, &self.stage.watcher, LIVE).await?;
        let figures = &mut measured.figures;
        figures.add(STREAMING, "MiB", machine::memory_of(target.server)?);
        let usage = Usage::begin(target.server, target.helpers)?;
        tokio::time::sleep(PACED).await;
        let tokens = LIVE as f64 * PACED.as_secs_f64() / SLOW.1.as_secs_f64();
        let cpu = usage.so_far()?.server.as_secs_f64() * 1e6 / tokens;
        figures.add(PACED_CPU, "µs", cpu);
        let starts = 2_000 / self.options.divisor;
        for protocol in [Protocol::Grpc, Protocol::Json] {
            let found = starts::measure(target, protocol, SHARING, starts).await?;
            started(figures, &format!("… beside 100 streams, {}", protocol.name()), &found);
        }
        let events = live.close(target).await?;
        measured.runs += 2 * (starts + SHARING) + LIVE;
        figures.add("… events of the 100 streams", "events", events as f64);
        Ok(())
    }

    async fn many(&self, measured: &mut Measured) -> Result<()> {
        let (target, load) = (measured.target(self.stage, self.helpers), Load::of_this_machine());
        let found = many::measure(target, &self.stage.watcher, load).await?;
        measured.runs += load.streams;
        let figures = &mut measured.figures;
        figures.add(DELIVERED, "×", found.delivered);
        figures.add(SLOWEST, "×", found.slowest);
        figures.add(LOST, "runs", found.lost as f64);
        figures.add("many streams: CPU/token", "µs", found.cpu);
        Ok(())
    }

    async fn sandbox(&self, measured: &mut Measured) -> Result<()> {
        let found = sandbox::measure(measured.server.address, &self.stage.watcher).await?;
        measured.runs += 1;
        measured.figures.add(TRUE, "ms", median(&found.between));
        let reported = median(&found.reported);
        measured
            .figures
            .add("sandboxed `true`, as reported: p50", "ms", reported);
        Ok(())
    }
}

fn started(figures: &mut Figures, name: &str, found: &starts::Found) {
    figures.add(format!("{name}: executed"), "runs/s", found.executed);
    figures.add(format!("{name}: answered"), "starts/s", found.answered);
    figures.add(format!("{name}: p50"), "ms", found.p50);
    figures.add(format!("{name}: p99"), "ms", found.p99);
    figures.add(format!("{name}: server CPU/run"), "ms", found.cpu);
    figures.add(format!("{name}: thread waits/run"), "waits", found.waits);
    figures.add("events of such a run", "events", found.events);
    figures.add("other programs on the machine", "% core", found.used.others);
}
