//! The images that tests run: Debian's static busybox, and nothing that a registry would have to give. It must never
//! hold what a test does not look at.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::room::{Room, built_beside};

/// The name of the image in every engine.
pub(super) const NAME: &str = "busybox";

/// Lays out the image's files and packs them; the path of the tar archive.
pub(super) fn tar(room: &Room) -> PathBuf {
    let tree = room.directory().join("image");
    for directory in ["bin", "dev", "etc", "home/app", "proc", "root", "sys", "tmp", "var", "www"] {
        fs::create_dir_all(tree.join(directory)).expect("make a directory of the image");
    }
    fs::set_permissions(tree.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("set the mode of tmp");
    fs::copy("/bin/busybox", tree.join("bin/busybox")).expect("copy /bin/busybox (make deps)");
    for applet in run("/bin/busybox", &["--list"]).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", tree.join("bin").join(applet)).expect("link an applet");
    }
    let files = [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"),
        ("etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\n"),
        ("www/index.html", "a page\n"),
        ("not-executable", "#!/bin/sh\necho never\n"),
        ("wrong-format", "neither ELF nor a script\n"),
    ];
    for (path, text) in files {
        fs::write(tree.join(path), text).expect("write a file of the image");
    }
    fs::set_permissions(tree.join("wrong-format"), fs::Permissions::from_mode(0o755)).expect("set a mode");
    pack(&tree)
}

/// Packs a directory; the path of the tar archive beside it.
fn pack(tree: &Path) -> PathBuf {
    let archive = tree.with_extension("tar");
    run("tar", &["--numeric-owner", "--owner=0", "--group=0", "-C", text(tree), "-cf", text(&archive), "."]);
    archive
}

/// The image as an OCI archive that `ctr image import` takes, under that name; its path.
pub(super) fn oci_archive(room: &Room, name: &str) -> PathBuf {
    let config = json!({ "Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sh"], "WorkingDir": "/www" });
    wrap(&tar(room), name, &config)
}

/// An image of `pause` alone (integration/pause), as an OCI archive; its path.
pub(super) fn pause_archive(room: &Room, name: &str) -> PathBuf {
    let tree = room.directory().join("pause");
    fs::create_dir_all(&tree).expect("make a directory for the image of pause");
    fs::copy(built_beside("pause"), tree.join("pause")).expect("copy pause");
    wrap(&pack(&tree), name, &json!({ "Entrypoint": ["/pause"] }))
}

/// Wraps a layer's tar archive into an OCI image archive with that configuration; its path.
fn wrap(layer: &Path, name: &str, config: &Value) -> PathBuf {
    let layout = layer.with_extension("oci");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("make an image layout");
    let digest = run("sha256sum", &[text(layer)]).split(' ').next().unwrap_or_default().to_owned();
    let size = fs::metadata(layer).expect("the layer's size").len();
    fs::rename(layer, blobs.join(&digest)).expect("move the layer");
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": format!("sha256:{digest}"), "size": size,
    });
    let config = blob(
        &blobs,
        "config",
        &json!({
            "architecture": architecture(), "os": "linux",
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
        }),
    );
    let mut manifest = blob(
        &blobs,
        "manifest",
        &json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": [layer],
        }),
    );
    manifest["annotations"] =
        json!({ "io.containerd.image.name": name, "org.opencontainers.image.ref.name": "latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(layout.join("index.json"), index.to_string()).expect("write index.json");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write oci-layout");
    let archive = layout.with_extension("oci.tar");
    run("tar", &["-C", text(&layout), "-cf", text(&archive), "."]);
    archive
}

/// Adds a JSON document to the layout; its descriptor.
fn blob(blobs: &Path, kind: &str, document: &Value) -> Value {
    let bytes = document.to_string();
    let path = blobs.join(kind);
    fs::write(&path, &bytes).expect("write a blob");
    let digest = run("sha256sum", &[text(&path)]).split(' ').next().unwrap_or_default().to_owned();
    fs::rename(&path, blobs.join(&digest)).expect("name a blob");
    let media = format!("application/vnd.oci.image.{kind}.v1+json");
    json!({ "mediaType": media, "digest": format!("sha256:{digest}"), "size": bytes.len() })
}

/// The name that Go, and so the image specification, has for this processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("invariant: the temporary directory is UTF-8")
}

fn run(program: &str, args: &[&str]) -> String {
    // Nobody may reap it as an orphan meanwhile.
    let output = crate::host_process::without_forks(|| Command::new(program).args(args).output());
    let output = output.unwrap_or_else(|e| panic!("run {program}: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
