//! What a process has used, as the kernel counts it.

use std::time::Duration;

use anyhow::Context as _;

/// Processor time is counted in hundredths of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Returns the processor time, user and system, that a process has used since its start.
///
/// # Errors
/// There is no such process.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    ticks(&text).map(|ticks| TICK * ticks).with_context(|| format!("{path} is not as expected"))
}

/// Reads user and system ticks; the name, in parentheses, may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    let mut fields = behind_the_name.split_ascii_whitespace();
    let user: u32 = fields.nth(11)?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Returns the resident memory of a process, in MiB.
///
/// # Errors
/// There is no such process.
pub fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")).with_context(|| format!("{path} has no VmRSS"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().with_context(|| format!("VmRSS in {path}"))?;
    Ok(kib / 1024.0)
}

/// Returns the processor time that this thread has used.
///
/// # Errors
/// The kernel does not say.
pub fn thread_cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("read /proc/thread-self/schedstat")?;
    let nanos = text.split_ascii_whitespace().next().and_then(|text| text.parse().ok());
    nanos.map(Duration::from_nanos).context("/proc/thread-self/schedstat is not as expected")
}

/// Returns the machine in one line: processor, cores, load.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores, load {}", model.trim(), load())
}

/// Returns the load average of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_mislead() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 70 30 0 0 20 0 9 0 1 2 3";
        assert_eq!(ticks(stat), Some(100));
    }

    #[test]
    fn this_process_is_measured() {
        let pid = std::process::id();
        assert!(resident_mib(pid).expect("it runs") > 0.5);
        cpu(pid).expect("it runs");
        thread_cpu().expect("it runs");
        assert!(cpu(u32::MAX).is_err());
    }
}
