//! Measures the machine: the duration of a durable write, the resource usage of a process, and the load of other
//! programs.

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::Result;

/// Number of clock ticks per second in /proc, which is always 100 on Linux.
const TICKS: u64 = 100;

/// Appends `count` blocks of 4 KiB to a file and syncs each block. Returns the duration of each sync in milliseconds.
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

/// Returns the processor time of a process with all its threads, in user mode and kernel mode.
pub(crate) fn used_by(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The process name may contain any character, so the fields are counted from the last closing parenthesis. Fields
    // 14 and 15 of the whole line are utime and stime.
    let fields = stat
        .rsplit_once(')')
        .ok_or("/proc/PID/stat has an unexpected format")?
        .1;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64> { Ok(fields.next().ok_or("/proc/PID/stat has too few fields")?.parse()?) };
    Ok(Duration::from_millis((ticks()? + ticks()?) * 1000 / TICKS))
}

/// Returns the processor time of a process in nanoseconds. The result is more precise than that of [`used_by`], but
/// excludes threads that have ended.
pub(crate) fn nanos_of(pid: u32) -> Result<u64> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        let used = stat.split_whitespace().next().and_then(|used| used.parse::<u64>().ok());
        nanos += used.unwrap_or_default();
    }
    Ok(nanos)
}

/// Returns the total number of voluntary context switches of a process's threads.
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

/// Returns the resident anonymous memory of a process in MiB. Memory is anonymous if no file backs it.
pub(crate) fn anonymous_memory_of(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("/proc/PID/status has no RssAnon")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Returns the processor time of the whole machine since boot, without idle time.
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

/// Resource usage of a server, of the benchmark's processes and of the machine at the start of a measurement.
pub(crate) struct Usage {
    server: u32,
    family: Vec<u32>,
    began: Instant,
    waits: u64,
    at_start: (Duration, Duration, Duration),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Processor time of the server.
    pub(crate) server: Duration,
    /// Processor time of programs outside the benchmark, in percent of one core.
    pub(crate) others: f64,
    /// Number of voluntary context switches of the server's threads.
    pub(crate) waits: u64,
}

impl Usage {
    /// Starts measuring a server. `others` are the benchmark's remaining child processes. [`Used::others`] excludes the
    /// processor time of these processes.
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

    /// Returns the resource usage since [`Usage::begin`].
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
