//! `events`: resource usage at intervals and kills for lack of memory, one JSON object a line, until the container is
//! gone.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

use super::{Call, duration, print};
use crate::container::state::{Container, Status};
use crate::error::{Error, Kind, OrFail, Result};

#[derive(Serialize)]
struct Event<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

/// Prints the events of a container.
pub(crate) fn events(call: &Call) -> Result<u8> {
    let container = call.container()?;
    let interval = call.matches.text("interval").and_then(duration::parse).unwrap_or(5_000_000_000);
    let interval = u64::try_from(interval)
        .ok()
        .filter(|interval| *interval > 0)
        .map(Duration::from_nanos)
        .ok_or_else(|| Error::invalid("duration interval must be greater than 0"))?;
    let id = call.matches.first();
    if container.status()? == Status::Stopped {
        return Err(Error::new(Kind::NotRunning, format!("container with id {id} is not running")));
    }
    if call.matches.on("stats") {
        usage(&container, id)?;
    } else {
        follow(&container, id, interval)?;
    }
    Ok(0)
}

fn usage(container: &Container, id: &str) -> Result<()> {
    emit(&Event { kind: "stats", id, data: Some(container.stats()?) })
}

fn emit(event: &impl Serialize) -> Result<()> {
    let mut line =
        serde_json::to_string(event).map_err(|error| Error::invalid(format!("write JSON: {error}")))?;
    line.push('\n');
    print(&line)
}

fn follow(container: &Container, id: &str, interval: Duration) -> Result<()> {
    let mut watch = container.oom_watch()?;
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        // Rounded up, so that it does not spin through the last millisecond.
        let left = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)], left) {
            Err(Errno::EINTR) => {}
            Ok(0) if Instant::now() < next => {}
            Ok(0) => {
                // One reading that fails is told, and the next one may succeed.
                if let Err(error) = usage(container, id) {
                    log::error!("{error}");
                }
                next = Instant::now() + interval;
            }
            polled => {
                polled.or_fail("poll", || format!("wait for events of container {id}"))?;
                let oom = watch.take()?;
                if oom.happened {
                    emit(&Event::<()> { kind: "oom", id, data: None })?;
                }
                if oom.gone {
                    return Ok(());
                }
            }
        }
    }
}
