//! AppArmor profiles as the kernel enforces them: on a container's first process and on an exec. The profile is loaded
//! for the test and taken out again.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::host_process::{has_program, without_forks};
use integration::{Bundle, skip};
use serde_json::json;

/// A profile of this test's own.
struct Profile {
    name: String,
    file: PathBuf,
}

impl Profile {
    /// Lets everything but writes below /tmp/forbidden. None where there is no AppArmor, which is noted.
    #[track_caller]
    fn load(bundle: &Bundle) -> Option<Self> {
        let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        if enabled.trim() != "Y" || !Path::new("/sys/kernel/security/apparmor").exists() {
            skip("this host has no AppArmor");
            return None;
        }
        if !has_program("apparmor_parser") {
            skip("no apparmor_parser to load a profile with");
            return None;
        }
        let name = bundle.id().trim_end_matches('.').to_owned();
        let file = bundle.beside("profile");
        let rules = "network, capability, mount, umount, pivot_root, ptrace, signal, unix, dbus, file,";
        let text = format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n  {}\n  deny /tmp/forbidden/** w,\n}}\n",
            rules.replace(", ", ",\n  ")
        );
        fs::write(&file, text).unwrap();
        let profile = Self { name, file };
        assert!(profile.parser("--replace"), "apparmor_parser refuses {}", profile.file.display());
        Some(profile)
    }

    fn parser(&self, how: &str) -> bool {
        let mut command = Command::new("apparmor_parser");
        command.args([how, "--skip-cache"]).arg(&self.file);
        without_forks(|| command.status().unwrap()).success()
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

const TRY: &str = "cat /proc/self/attr/current; mkdir -p /tmp/forbidden; : >/tmp/allowed && echo allowed; \
                   (: >/tmp/forbidden/x) 2>/dev/null || echo forbidden";

fn expected(profile: &Profile) -> String {
    format!("{} (enforce)\nallowed\nforbidden\n", profile.name)
}

#[test]
fn init_and_exec_are_confined() {
    let mut bundle = Bundle::new();
    let Some(profile) = Profile::load(&bundle) else { return };
    let runtime = bundle.runtime();
    bundle.set("/process/apparmorProfile", json!(profile.name));
    bundle.set("/process/args", json!(["/bin/sh", "-c", TRY]));
    assert_eq!(runtime.run(&bundle).ok().stdout, expected(&profile));
    bundle.probe(&["sleep"]);
    runtime.start(&bundle);
    let outcome = runtime.call(&["exec", bundle.id(), "/bin/sh", "-c", TRY]).ok();
    assert_eq!(outcome.stdout, expected(&profile));
    runtime.call(&["delete", "--force", bundle.id()]).ok();
}

/// With no_new_privs the kernel lets a process change its profile once, before.
#[test]
fn without_new_privileges() {
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::new();
        let Some(profile) = Profile::load(&bundle) else { return };
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
        bundle.set("/process/apparmorProfile", json!(profile.name));
        bundle.set("/process/args", json!(["/bin/sh", "-c", TRY]));
        assert_eq!(bundle.runtime().run(&bundle).ok().stdout, expected(&profile), "{no_new_privileges}");
    }
}

#[test]
fn a_profile_that_is_not_loaded() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/process/apparmorProfile", json!("pinnace-no-such-profile"));
    runtime.create_with(&bundle, &[]).refuses(&["pparmor"]);
    runtime.leaves_nothing(bundle.id());
}
