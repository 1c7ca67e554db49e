//! What containerd's client has asked of the runtime: runc's options, or the generic ones with a TOML text. Unknown
//! things are told in the log and ignored. Only reads.

use std::path::{Path, PathBuf};

use containerd_shim_protos::shim::oci::Options;
use pinnace::error::{Error, OrFail, Result};
use protobuf::rt::WireType;
use protobuf::well_known_types::any::Any;
use protobuf::{CodedInputStream, Message};
use serde::Deserialize;

/// Where containers are kept unless the options name a place.
const ROOT: &str = "/run/containerd/pinnace";

/// Names under which this runtime is asked for; it needs none of these files.
const OWN: [&str; 3] = ["", "runc", "pinnace"];

/// The options, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Settings {
    pub root: PathBuf,
    pub binary_name: String,
    pub no_pivot_root: bool,
    pub no_new_keyring: bool,
    pub systemd_cgroup: bool,
    pub shim_cgroup: String,
    pub io_uid: u32,
    pub io_gid: u32,
}

impl Settings {
    /// From a request's options.
    ///
    /// # Errors
    /// They can't be read.
    pub fn of(any: Option<&Any>) -> Result<Self> {
        let Some(any) = any.filter(|any| !any.type_url.is_empty()) else { return Ok(Self::default()) };
        // Some clients put a host before the name.
        match any.type_url.rsplit('/').next().unwrap_or_default() {
            "containerd.runc.v1.Options" => Options::parse_from_bytes(&any.value)
                .map(Self::from)
                .map_err(|error| Error::invalid(format!("read runc's options: {error}"))),
            "runtimeoptions.v1.Options" => generic(&any.value),
            other => {
                log::warn!("options of type {other} are ignored");
                Ok(Self::default())
            }
        }
    }

    /// Another runtime is asked for.
    pub fn foreign(&self) -> Option<&str> {
        let name = Path::new(&self.binary_name).file_name().unwrap_or_default();
        let own = OWN.contains(&self.binary_name.as_str()) || name == "pinnace";
        (!own).then_some(self.binary_name.as_str())
    }

    /// The directory of a namespace's containers.
    pub fn root(&self, namespace: &str) -> PathBuf {
        let root = if self.root.as_os_str().is_empty() { Path::new(ROOT) } else { &self.root };
        root.join(namespace)
    }
}

impl From<Options> for Settings {
    fn from(options: Options) -> Self {
        Self {
            root: options.root.into(),
            binary_name: options.binary_name,
            no_pivot_root: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
            systemd_cgroup: options.systemd_cgroup,
            shim_cgroup: options.shim_cgroup,
            io_uid: options.io_uid,
            io_gid: options.io_gid,
        }
    }
}

/// `runtimeoptions.v1.Options`: type_url = 1, config_path = 2, config_body = 3. Docker sends it empty too.
fn generic(bytes: &[u8]) -> Result<Settings> {
    let failed = |error: protobuf::Error| Error::invalid(format!("read the runtime's options: {error}"));
    let (mut path, mut body) = (String::new(), Vec::new());
    let mut input = CodedInputStream::from_bytes(bytes);
    while let Some(tag) = input.read_raw_tag_or_eof().map_err(failed)? {
        match tag {
            0x12 => path = input.read_string().map_err(failed)?,
            0x1a => body = input.read_bytes().map_err(failed)?,
            _ => skip(&mut input, tag).map_err(failed)?,
        }
    }
    if body.is_empty() && !path.is_empty() {
        body = std::fs::read(&path).or_fail("open", || format!("read the runtime's options {path}"))?;
    }
    let text = String::from_utf8_lossy(&body);
    toml::from_str(&text).map_err(|error| {
        Error::invalid(format!("understand the runtime's options {path}: {}", error.message()))
    })
}

fn skip(input: &mut CodedInputStream<'_>, tag: u32) -> protobuf::Result<()> {
    let wire = WireType::new(tag & 7).ok_or_else(|| std::io::Error::other("no such wire type"))?;
    input.skip_field(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(type_url: &str, value: Vec<u8>) -> Any {
        Any { type_url: type_url.to_owned(), value, ..Any::default() }
    }

    fn field(number: u8, text: &str) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    #[test]
    fn of_runc() {
        let options = Options { root: "/r".into(), io_uid: 7, no_pivot_root: true, ..Options::default() };
        let bytes = options.write_to_bytes().unwrap();
        for url in ["containerd.runc.v1.Options", "types.containerd.io/containerd.runc.v1.Options"] {
            let settings = Settings::of(Some(&any(url, bytes.clone()))).unwrap();
            assert_eq!((settings.io_uid, settings.no_pivot_root), (7, true));
            assert_eq!(settings.root("n"), Path::new("/r/n"));
        }
        assert!(Settings::of(Some(&any("containerd.runc.v1.Options", vec![0xff]))).is_err());
    }

    #[test]
    fn of_any_runtime() {
        let of = |bytes: Vec<u8>| Settings::of(Some(&any("runtimeoptions.v1.Options", bytes)));
        assert_eq!(of(Vec::new()).unwrap(), Settings::default());
        let body = "Root = \"/r\"\nIoUid = 3\nNoNewKeyring = true\nUnknown = [1]\n";
        let settings = of([field(1, "x"), field(3, body)].concat()).unwrap();
        assert!(settings.no_new_keyring && settings.io_uid == 3 && settings.root == Path::new("/r"));
        assert!(of(field(3, "Root = 1")).is_err());
        assert!(of(field(2, "/no/such/file")).is_err());
    }

    #[test]
    fn none_and_unknown_are_the_defaults() {
        assert_eq!(Settings::of(None).unwrap(), Settings::default());
        assert_eq!(Settings::of(Some(&any("", vec![1]))).unwrap(), Settings::default());
        assert_eq!(Settings::of(Some(&any("a.B", vec![1]))).unwrap(), Settings::default());
        assert_eq!(Settings::default().root("n"), Path::new("/run/containerd/pinnace/n"));
    }

    #[test]
    fn other_runtimes() {
        let named = |name: &str| Settings { binary_name: name.to_owned(), ..Settings::default() };
        for own in ["", "runc", "pinnace", "/usr/local/bin/pinnace"] {
            assert_eq!(named(own).foreign(), None, "{own}");
        }
        for other in ["crun", "/usr/bin/runc", "/opt/kata"] {
            assert_eq!(named(other).foreign(), Some(other));
        }
    }
}
