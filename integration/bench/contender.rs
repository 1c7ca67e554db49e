//! Who is measured: the runtimes that are on this machine, and the floor. Only names, files and command lines.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use integration::runtime_binary;

use crate::Result;
use crate::bundles::Bundles;

/// A runtime, or the floor.
pub(crate) struct Contender {
    /// The name in tables.
    pub(crate) name: String,
    /// Its program.
    pub(crate) binary: PathBuf,
    /// It is the floor: it knows `run` and `exec` alone, and another command line.
    pub(crate) is_floor: bool,
}

/// pinnace, then crun and runc from the PATH where they are, then `BENCH_ALSO`, then the floor.
pub(crate) fn all() -> Result<Vec<Contender>> {
    let runtime = |name: &str, binary: PathBuf| Contender { name: name.to_owned(), binary, is_floor: false };
    let mut list = vec![runtime("pinnace", runtime_binary())];
    list.extend(["crun", "runc"].into_iter().filter_map(|name| Some(runtime(name, on_path(name)?))));
    for word in std::env::var("BENCH_ALSO").unwrap_or_default().split_whitespace() {
        let (name, path) = word.split_once('=').ok_or("BENCH_ALSO wants name=path")?;
        list.push(runtime(name, path.into()));
    }
    list.push(Contender { name: "floor".to_owned(), binary: beside("bench-floor")?, is_floor: true });
    Ok(list)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// A program of this crate that cargo has built.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.ancestors().find(|path| path.join(name).is_file());
    Ok(directory.ok_or_else(|| format!("{name} is not built beside {}", own.display()))?.join(name))
}

impl Contender {
    /// A call of a runtime.
    pub(crate) fn call(&self, state: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--root").arg(state).args(words).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// `run` of the bundle called `name`, whose container is called as this contender.
    pub(crate) fn run(&self, state: &Path, bundles: &Bundles, name: &str) -> Command {
        if !self.is_floor {
            return self.call(state, &["run", "--bundle", &bundles.path(name), &bundles.id(&self.name)]);
        }
        let rootfs = bundles.rootfs();
        let filter = if name == "full" { bundles.filter() } else { "-".to_owned() };
        let mut command = Command::new(&self.binary);
        command.args(["run", &rootfs, &filter]).args(bundles.floor_cgroups()).args(["--", "/bin/true"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// The version that it says of itself.
    pub(crate) fn version(&self) -> String {
        let said = Command::new(&self.binary).arg("--version").output();
        let said =
            said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        said.lines().next().unwrap_or_default().replace("version ", "")
    }
}
