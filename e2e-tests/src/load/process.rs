//! What a process costs, as Linux tells it under `/proc`. Elsewhere there are no figures.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// `/proc` counts processor time in hundredths of a second on every architecture of today.
const TICKS_PER_SECOND: f64 = 100.0;
const KIB_PER_MIB: f64 = 1024.0;
/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Processor time of all its threads.
    pub(super) cpu_seconds: f64,
    /// Memory it has in RAM now.
    pub(super) rss_mib: f64,
    /// The most it ever had.
    pub(super) rss_peak_mib: f64,
}

/// The process's usage; nothing when it is gone or hidden.
pub(super) fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu_seconds: cpu_seconds(&stat)?,
        rss_mib: mib(&status, "VmRSS:")?,
        rss_peak_mib: mib(&status, "VmHWM:")?,
    })
}

/// What a process had used when it was first looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pub(super) pid: u32,
    pub(super) before: Usage,
}

impl Meter {
    pub(super) fn start(pid: u32) -> Option<Self> {
        Some(Self { pid, before: usage(pid)? })
    }

    pub(super) fn read(&self) -> Option<Usage> {
        usage(self.pid)
    }
}

/// The process on this machine that listens on one of these addresses, if it can be seen.
pub(super) fn listening_on(addresses: &[SocketAddr]) -> Option<u32> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table))
        .filter(|(listener, _)| addresses.iter().any(|address| serves(*listener, *address)))
        .map(|(_, inode)| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse().ok());
    // The lowest: a child that inherited the socket came later.
    processes.filter(|pid: &u32| holds(*pid, &inodes).unwrap_or(false)).min()
}

fn holds(pid: u32, sockets: &[String]) -> io::Result<bool> {
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let open = fs::read_link(descriptor?.path()).unwrap_or_default();
        if sockets.iter().any(|socket| open == Path::new(socket)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a connection to `address` reaches this listener: one on all addresses of this machine
/// counts for the loopback only, since another address may be another machine's.
fn serves(listener: SocketAddr, address: SocketAddr) -> bool {
    let reached = listener.ip() == address.ip()
        || (listener.ip().is_unspecified() && address.ip().is_loopback());
    listener.port() == address.port() && reached
}

/// Addresses and socket numbers of the listeners in a `/proc/net/tcp` or `tcp6`.
fn listeners(table: &str) -> Vec<(SocketAddr, String)> {
    let listener = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, LISTENING, _, _, _, _, _, inode, ..] = fields[..] else { return None };
        Some((socket_address(local)?, inode.to_owned()))
    };
    table.lines().filter_map(listener).collect()
}

/// `0100007F:1F90` is 127.0.0.1:8080: words of four bytes, each in the machine's order.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// User and system time, fields 14 and 15 of `/proc/<pid>/stat`. The second field is the
/// program's name in brackets and may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_whitespace().skip(11);
    let user: f64 = times.next()?.parse().ok()?;
    let system: f64 = times.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// A size in `/proc/<pid>/status`.
fn mib(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / KIB_PER_MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_a_name_with_brackets_and_spaces() {
        let stat = "4711 (a ) 1 b) S 1 4711 4711 0 -1 4194560 1 0 0 0 250 150 9 9 20 0 5 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(cpu_seconds("4711 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_by_name() {
        let status = "Name:\ta\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        assert_eq!(mib(status, "VmRSS:"), Some(100.0));
        assert_eq!(mib(status, "VmHWM:"), Some(200.0));
        assert_eq!(mib("Name:\ta\n", "VmRSS:"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn only_listeners_are_taken_from_the_socket_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1 0\n\
            1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000 0 0 78 1 0\n\
            2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A \
            00000000:00000000 00:00000000 00000000 0 0 79 1 0\n";
        let found = listeners(table);
        assert_eq!(
            found,
            [
                ("127.0.0.1:8080".parse().unwrap(), "77".to_owned()),
                ("[::1]:80".parse().unwrap(), "79".to_owned()),
            ]
        );
    }

    #[test]
    fn a_listener_on_all_addresses_serves_the_loopback_but_not_another_machine_s_address() {
        let reached = |listener: &str, address: &str| {
            serves(listener.parse().unwrap(), address.parse().unwrap())
        };
        assert!(reached("0.0.0.0:80", "127.0.0.1:80"));
        assert!(reached("[::]:80", "127.0.0.1:80"));
        assert!(reached("10.0.0.1:80", "10.0.0.1:80"));
        assert!(!reached("0.0.0.0:80", "10.0.0.9:80"));
        assert!(!reached("127.0.0.1:81", "127.0.0.1:80"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_found_by_its_listening_port_and_has_a_usage() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let pid = listening_on(&[listener.local_addr().unwrap()]).unwrap();
        assert_eq!(pid, std::process::id());
        let usage = usage(pid).unwrap();
        assert!(usage.rss_mib > 0.0 && usage.rss_peak_mib >= usage.rss_mib, "{usage:?}");
    }
}
