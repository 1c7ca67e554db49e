//! What is behind a container: calls into the library, or another runtime's program. The one place that tells them apart.

use std::path::Path;

use pinnace::container::id::Id;
use pinnace::container::state::Container as Own;
use pinnace::container::{
    self, CheckpointOptions, CreateOptions, ExecOptions, RestoreOptions, Runtime, Stdio,
};
use pinnace::error::{Error, Kind, OrFail, Result};
use pinnace::plan::namespaces::{Namespaces, PID};
use pinnace::spec;

use crate::drive::drive;
use crate::foreign::{Birth, Born, Foreign};

/// A container's runtime.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    /// Ours.
    Own(Box<Own>),
    /// Another, and what the library understands of its state: that of runc and of its wrappers.
    Foreign(Foreign, Option<Box<Own>>),
}

impl Handle {
    /// Makes a container: by the library, or by that program.
    pub async fn create(
        runtime: &Runtime,
        id: &Id,
        foreign: Option<Foreign>,
        options: &CreateOptions,
        streams: (bool, Option<Stdio>),
    ) -> Result<(Self, Born)> {
        let (terminal, stdio) = streams;
        let Some(foreign) = foreign else {
            let started = drive(container::creating(runtime, id, options, stdio)).await?;
            return Ok((Self::Own(Box::new(Own::load(runtime, id)?)), started.into()));
        };
        let bundle = options.bundle.to_string_lossy();
        let mut words = vec!["--bundle", &*bundle];
        if options.no_pivot {
            words.push("--no-pivot");
        }
        if options.no_new_keyring {
            words.push("--no-new-keyring");
        }
        let pid_file = options.pid_file.clone().unwrap_or_default();
        let started = foreign.bear(Birth { verb: "create", words, pid_file, terminal }, stdio).await?;
        let known = Own::load(runtime, id).ok().map(Box::new);
        Ok((Self::Foreign(foreign, known), started))
    }

    /// Makes a container from a checkpoint, by the library alone.
    pub async fn restore(
        runtime: &Runtime,
        id: &Id,
        foreign: Option<&Foreign>,
        options: &CreateOptions,
        (from, stdio): (&RestoreOptions, Option<Stdio>),
    ) -> Result<(Self, Born)> {
        if let Some(foreign) = foreign {
            return Err(unsupported("restore", foreign));
        }
        let started = drive(container::restoring(runtime, id, options, from, stdio)).await?;
        Ok((Self::Own(Box::new(Own::load(runtime, id)?)), started.into()))
    }

    /// Writes it to files.
    pub async fn checkpoint(&self, options: CheckpointOptions) -> Result<()> {
        match self {
            Self::Own(own) => drive(own.checkpointing(options)).await,
            Self::Foreign(foreign, _) => Err(unsupported("checkpoint", foreign)),
        }
    }

    /// What the library can say of it: statistics and the like.
    pub fn known(&self) -> Result<&Own> {
        match self {
            Self::Own(own) | Self::Foreign(_, Some(own)) => Ok(own),
            Self::Foreign(foreign, None) => Err(Error::new(
                Kind::NotFound,
                format!("the state of runtime {} is not understood", foreign.program),
            )),
        }
    }

    /// Whether it has a pid namespace of its own.
    pub fn has_own_pids(&self) -> Result<bool> {
        match self {
            Self::Own(own) => own.has_own_pids(),
            Self::Foreign(foreign, _) => {
                let spec = spec::load(&foreign.bundle.join("config.json"))?.spec;
                let linux = spec.linux.unwrap_or_default();
                Ok(Namespaces::decide(&linux.namespaces).new & PID != 0)
            }
        }
    }

    pub async fn start(&self) -> Result<()> {
        match self {
            Self::Own(own) => drive(own.starting()).await,
            Self::Foreign(foreign, _) => foreign.run("start", &[]).await.map(drop),
        }
    }

    pub async fn exec(&self, id: &str, process: spec::Process, stdio: Option<Stdio>) -> Result<Born> {
        match self {
            Self::Own(own) => {
                let options = ExecOptions { process, ..ExecOptions::default() };
                drive(own.executing(&options, stdio)).await.map(Born::from)
            }
            Self::Foreign(foreign, _) => {
                let file = foreign.bundle.join(format!("{id}.json"));
                let json = serde_json::to_vec(&process)
                    .map_err(|error| Error::invalid(format!("write process {id}: {error}")))?;
                put(&file, &json)?;
                let pid_file = foreign.bundle.join(format!("{id}.pid"));
                let text = file.to_string_lossy();
                let words = vec!["--detach", "--process", &text];
                let birth = Birth { verb: "exec", words, pid_file, terminal: process.terminal };
                let outcome = foreign.bear(birth, stdio).await;
                let _ = std::fs::remove_file(&file);
                outcome
            }
        }
    }

    pub async fn kill(&self, signal: i32, all: bool) -> Result<()> {
        match self {
            Self::Own(own) => drive(own.killing(signal, all)).await,
            Self::Foreign(foreign, _) => foreign.kill(signal, all).await,
        }
    }

    pub async fn pause(&self) -> Result<()> {
        match self {
            Self::Own(own) => drive(own.pausing()).await,
            Self::Foreign(foreign, _) => foreign.run("pause", &[]).await.map(drop),
        }
    }

    pub async fn resume(&self) -> Result<()> {
        match self {
            Self::Own(own) => own.resume(),
            Self::Foreign(foreign, _) => foreign.run("resume", &[]).await.map(drop),
        }
    }

    /// The limits are JSON.
    pub async fn update(&self, resources: &[u8]) -> Result<()> {
        match self {
            Self::Own(own) => drive(own.updating(&spec::parse_resources(resources)?)).await,
            Self::Foreign(foreign, _) => {
                let file = foreign.bundle.join("resources.json");
                put(&file, resources)?;
                foreign.run("update", &["--resources", &file.to_string_lossy()]).await.map(drop)
            }
        }
    }

    pub async fn processes(&self) -> Result<Vec<i32>> {
        match self {
            Self::Own(own) | Self::Foreign(_, Some(own)) => own.processes(),
            Self::Foreign(foreign, None) => foreign.processes().await,
        }
    }

    pub async fn delete(&self) -> Result<()> {
        match self {
            Self::Own(own) => drive(own.as_ref().clone().deleting()).await,
            Self::Foreign(foreign, _) => foreign.run("delete", &[]).await.map(drop),
        }
    }
}

fn unsupported(verb: &str, foreign: &Foreign) -> Error {
    Error::invalid(format!("{verb} by another runtime, {}: not supported", foreign.program))
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).or_fail("write", || format!("write {}", path.display()))
}
