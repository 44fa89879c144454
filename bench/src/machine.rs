//! Measures durable writes, the resource usage of a process, and the load of other programs.

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::Result;

/// Number of clock ticks per second in /proc. Always 100 on Linux.
const TICKS: u64 = 100;

/// Appends `count` blocks of 4 KiB to a file and syncs each. Returns the durations of the syncs in milliseconds.
pub(crate) fn probe_fdatasync(folder: &Path, count: usize) -> Result<Vec<f64>> {
    let path = folder.join("probe");
    let mut file = fs::File::create(&path)?;
    let block = [7_u8; 4096];
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        file.write_all(&block)?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(millis(began.elapsed()));
    }
    fs::remove_file(path)?;
    Ok(took)
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Returns the processor time of a process in user mode and kernel mode.
pub(crate) fn used_by(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The process name may contain spaces and parentheses, so fields are counted from the last `)`. utime and stime
    // are fields 14 and 15 of the whole line.
    let fields = stat
        .rsplit_once(')')
        .ok_or("/proc/PID/stat has an unexpected format")?
        .1;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64> { Ok(fields.next().ok_or("/proc/PID/stat has too few fields")?.parse()?) };
    Ok(Duration::from_millis((ticks()? + ticks()?) * 1000 / TICKS))
}

/// Returns the processor time of a process in nanoseconds. More precise than [`used_by`], but excludes threads that
/// have ended.
pub(crate) fn nanos_of(pid: u32) -> Result<u64> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        let used = stat.split_whitespace().next().and_then(|used| used.parse::<u64>().ok());
        nanos += used.unwrap_or_default();
    }
    Ok(nanos)
}

pub(crate) fn waits_of(pid: u32) -> Result<u64> {
    let mut waits = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // The thread may have ended since the folder was listed, so a failed read counts as zero.
        let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        waits += line
            .and_then(|line| line.trim().parse::<u64>().ok())
            .unwrap_or_default();
    }
    Ok(waits)
}

/// Returns the resident memory of a process in MiB.
pub(crate) fn memory_of(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("/proc/PID/status has no VmRSS")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Returns the resident anonymous memory of a process in MiB. Anonymous memory is not backed by a file.
pub(crate) fn anonymous_memory_of(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("/proc/PID/status has no RssAnon")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Returns the processor time of the machine since boot, without idle time.
fn used_by_all() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .flat_map(str::parse)
        .collect();
    let all: u64 = fields.iter().take(8).sum();
    let idle = fields.get(3).copied().unwrap_or_default() + fields.get(4).copied().unwrap_or_default();
    Ok(Duration::from_millis((all - idle) * 1000 / TICKS))
}

pub(crate) struct Usage {
    server: u32,
    family: Vec<u32>,
    began: Instant,
    waits: u64,
    at_start: (Duration, Duration, Duration),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) server: Duration,
    /// Processor time of programs outside the benchmark, in percent of one core.
    pub(crate) others: f64,
    pub(crate) waits: u64,
}

impl Usage {
    /// Starts measuring a server. `others` are the benchmark's other child processes, which [`Used::others`] does not
    /// count.
    pub(crate) fn begin(server: u32, others: &[u32]) -> Result<Self> {
        let family: Vec<u32> = others.iter().copied().chain([std::process::id(), server]).collect();
        let at_start = Self::read(server, &family)?;
        Ok(Self {
            server,
            family,
            began: Instant::now(),
            waits: waits_of(server)?,
            at_start,
        })
    }

    pub(crate) fn so_far(&self) -> Result<Used> {
        let now = Self::read(self.server, &self.family)?;
        let family = now.1.saturating_sub(self.at_start.1);
        let others = now.2.saturating_sub(self.at_start.2).saturating_sub(family);
        Ok(Used {
            server: now.0.saturating_sub(self.at_start.0),
            waits: waits_of(self.server)?.saturating_sub(self.waits),
            others: others.as_secs_f64() / self.began.elapsed().as_secs_f64() * 100.0,
        })
    }

    fn read(server: u32, family: &[u32]) -> Result<(Duration, Duration, Duration)> {
        let mut sum = Duration::ZERO;
        for pid in family {
            sum += used_by(*pid)?;
        }
        Ok((used_by(server)?, sum, used_by_all()?))
    }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub(crate) fn describe() -> String {
    let cores = cores();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let load = read("/proc/loadavg");
    format!(
        "{cores} cores ({}), Linux {}, load {} when it began",
        model.map_or("unknown", |(_, name)| name.trim()),
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown"),
    )
}
