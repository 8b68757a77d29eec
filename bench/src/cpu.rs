//! Processor time of process trees, from `/proc`.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};

/// Processor time used so far, in microseconds.
#[derive(Clone, Debug)]
pub struct Reading {
    /// User and system time of each tree, its processes that ended included.
    pub trees: Vec<u64>,
    /// This process.
    pub own: u64,
    /// Everything that ran on the machine.
    pub machine: u64,
}

impl Reading {
    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let minus = |a: u64, b: u64| a.saturating_sub(b);
        Self {
            trees: self
                .trees
                .iter()
                .zip(&earlier.trees)
                .map(|(a, b)| minus(*a, *b))
                .collect(),
            own: minus(self.own, earlier.own),
            machine: minus(self.machine, earlier.machine),
        }
    }

    /// What neither the trees nor this process used: the kernel's own work and other programs.
    pub fn others(&self) -> u64 {
        let ours = self.trees.iter().sum::<u64>() + self.own;
        self.machine.saturating_sub(ours)
    }
}

/// Reads the processor time of these trees, each given by its root.
pub struct Meter {
    /// Process ids.
    pub roots: Vec<u32>,
}

impl Meter {
    /// Processor time until now.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let processes = processes()?;
        let own = std::process::id();
        Ok(Reading {
            trees: self.roots.iter().map(|r| tree(&processes, *r)).collect(),
            own: processes.get(&own).map_or(0, |p| p.own) * US_PER_TICK,
            machine: machine()?,
        })
    }
}

struct Process {
    parent: u32,
    /// Ticks of the process itself.
    own: u64,
    /// Ticks of children that it has waited for.
    ended: u64,
}

/// Linux counts in hundredths of a second towards programs (`USER_HZ`), whatever the kernel's own
/// clock is.
const US_PER_TICK: u64 = 10_000;

fn processes() -> anyhow::Result<HashMap<u32, Process>> {
    let mut found = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        // It may have ended since the directory was read.
        if let Ok(stat) = std::fs::read_to_string(Path::new("/proc").join(&name).join("stat")) {
            found.insert(pid, parse(&stat).context("/proc/<pid>/stat")?);
        }
    }
    Ok(found)
}

/// Fields 4 and 14 to 17 of proc_pid_stat(5), counted after the name, which may hold anything.
fn parse(stat: &str) -> anyhow::Result<Process> {
    let (_, rest) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| -> anyhow::Result<u64> {
        let text = fields.get(number - 3).context("too few fields")?;
        text.parse().map_err(|e| anyhow!("field {number}: {e}"))
    };
    Ok(Process {
        parent: u32::try_from(field(4)?)?,
        own: field(14)? + field(15)?,
        ended: field(16)? + field(17)?,
    })
}

fn tree(processes: &HashMap<u32, Process>, root: u32) -> u64 {
    let below = |pid: u32| {
        let mut at = pid;
        while let Some(process) = processes.get(&at) {
            if at == root {
                return true;
            }
            at = process.parent;
        }
        false
    };
    let ticks: u64 = processes
        .iter()
        .filter(|(pid, _)| below(**pid))
        .map(|(_, p)| p.own + p.ended)
        .sum();
    ticks * US_PER_TICK
}

/// The first line of `/proc/stat` without idle, waiting for the disk, and what guests are counted
/// for twice.
fn machine() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .context("/proc/stat is empty")?
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [user, nice, system, _, _, irq, softirq, ..] = ticks.as_slice() else {
        return Err(anyhow!("/proc/stat has too few fields"));
    };
    Ok((user + nice + system + irq + softirq) * US_PER_TICK)
}

/// The process id of the PostgreSQL server that listens on `port`. It detaches from whoever starts
/// it, so it is found by the directory in its command line and the port in that directory's file.
pub fn postmaster(port: u16) -> anyhow::Result<u32> {
    for entry in std::fs::read_dir("/proc")? {
        let Ok(line) = std::fs::read_to_string(entry?.path().join("cmdline")) else {
            continue;
        };
        let arguments: Vec<&str> = line.split('\0').collect();
        let Some(at) = arguments.iter().position(|a| *a == "-D") else {
            continue;
        };
        let Some(dir) = arguments.get(at + 1) else {
            continue;
        };
        let Ok(file) = std::fs::read_to_string(Path::new(dir).join("postmaster.pid")) else {
            continue;
        };
        let mut lines = file.lines();
        let pid = lines.next().and_then(|l| l.trim().parse().ok());
        if let (Some(pid), Some(listens)) = (pid, lines.nth(2))
            && listens.trim().parse() == Ok(port)
        {
            return Ok(pid);
        }
    }
    Err(anyhow!("no PostgreSQL listens on port {port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_anything_in_it_is_skipped() {
        let stat = "12 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 30 4 5 6 20 0 1 0 9 0 0";
        let process = parse(stat).unwrap();
        assert_eq!((process.parent, process.own, process.ended), (7, 34, 11));
        assert!(parse("12 (x) S 7").is_err());
    }

    #[test]
    fn a_tree_is_summed_with_those_that_ended() {
        let process = |parent, own, ended| Process { parent, own, ended };
        let all = HashMap::from([
            (1, process(0, 1000, 1000)),
            (5, process(1, 10, 1)),
            (6, process(5, 20, 2)),
            (7, process(6, 40, 0)),
            (8, process(1, 80, 0)),
        ]);
        assert_eq!(tree(&all, 5), 73 * US_PER_TICK);
    }

    #[test]
    fn this_process_is_found() {
        let roots = vec![std::process::id()];
        let meter = Meter { roots };
        let first = meter.read().unwrap();
        let second = meter.read().unwrap();
        assert!(second.trees[0] >= first.trees[0] && second.machine >= first.machine);
    }
}
