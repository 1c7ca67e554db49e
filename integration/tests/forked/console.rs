//! Terminals made in a mount namespace of the test's own, where /dev is whatever an image may bring.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use pinnace::init::console::{self, Console, Size, adopt, mount_on_dev_console, own_stdio};
use pinnace::init::session::new_session;
use pinnace::plan::creds::Uid;
use pinnace::sys::pty;

use super::Case;

pub const CASES: &[Case] = &[
    ("console::bytes_go_through_and_the_size_is_set", bytes_go_through_and_the_size_is_set),
    ("console::a_covered_multiplexer_is_refused", a_covered_multiplexer_is_refused),
    ("console::the_terminal_is_on_dev_console", the_terminal_is_on_dev_console),
    ("console::a_link_at_dev_console_is_refused", a_link_at_dev_console_is_refused),
    (
        "console::it_becomes_the_controlling_terminal_of_its_user",
        it_becomes_the_controlling_terminal_of_its_user,
    ),
];

/// A directory in a file system that nobody else sees.
fn private() -> PathBuf {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), none).unwrap();
    "/tmp".into()
}

/// A new devpts.
fn devpts(at: &Path) -> File {
    fs::create_dir_all(at).unwrap();
    let options = Some("newinstance,ptmxmode=0666,mode=0620,gid=5");
    mount(Some("devpts"), at, Some("devpts"), MsFlags::empty(), options).unwrap();
    File::open(at).unwrap()
}

fn bytes_go_through_and_the_size_is_set() {
    let pts = devpts(&private().join("pts"));
    let console = console::open(&pts, Some(Size { rows: 10, columns: 110 })).unwrap();
    assert_eq!(pty::size(&console.slave).unwrap(), (10, 110));
    let (mut master, mut slave) = (File::from(console.master), File::from(console.slave));
    slave.write_all(b"out\n").unwrap();
    let mut buffer = [0; 16];
    let length = master.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"out\r\n");
    master.write_all(b"in\n").unwrap();
    let length = slave.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"in\n");
}

/// CVE-2025-52565: the devpts is real, what lies on its ptmx is not.
fn a_covered_multiplexer_is_refused() {
    let dir = private();
    let pts = devpts(&dir.join("pts"));
    let other = devpts(&dir.join("other"));
    let harness = console::open(&other, None).unwrap();
    let none = None::<&str>;
    for decoy in ["other/ptmx", "other/0"] {
        mount(Some(&dir.join(decoy)), &dir.join("pts/ptmx"), none, MsFlags::MS_BIND, none).unwrap();
        assert_eq!(console::open(&pts, None).unwrap_err().errno(), Some(Errno::EXDEV), "{decoy}");
        nix::mount::umount(&dir.join("pts/ptmx")).unwrap();
    }
    console::open(&pts, None).unwrap();
    drop(harness);
    // A directory that only looks like one.
    let fake = dir.join("fake");
    fs::create_dir(&fake).unwrap();
    symlink(dir.join("pts/ptmx"), fake.join("ptmx")).unwrap();
    let error = console::open(File::open(&fake).unwrap(), None).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENODEV));
}

fn open_terminal(dir: &Path) -> Console {
    console::open(devpts(&dir.join("pts")), None).unwrap()
}

fn the_terminal_is_on_dev_console() {
    let dir = private();
    let Console { master: _master, slave } = open_terminal(&dir);
    let device = pty::device(&slave).unwrap();
    for before in ["nothing", "file"] {
        let dev = dir.join(before);
        fs::create_dir(&dev).unwrap();
        if before == "file" {
            fs::write(dev.join("console"), "").unwrap();
        }
        mount_on_dev_console(File::open(&dev).unwrap(), &slave).unwrap();
        let metadata = fs::metadata(dev.join("console")).unwrap();
        assert!(metadata.file_type().is_char_device());
        let rdev = metadata.rdev();
        assert_eq!((nix::sys::stat::major(rdev), nix::sys::stat::minor(rdev)), device);
    }
}

/// CVE-2026-41579 and the like: nothing is made where the link points.
fn a_link_at_dev_console_is_refused() {
    let dir = private();
    let Console { master: _master, slave } = open_terminal(&dir);
    let dev = dir.join("dev");
    fs::create_dir(&dev).unwrap();
    for target in ["/tmp/created", "../created", "created"] {
        symlink(target, dev.join("console")).unwrap();
        let error = mount_on_dev_console(File::open(&dev).unwrap(), &slave).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ELOOP), "{target}");
        assert!(!dir.join("created").exists() && !dev.join("created").exists());
        fs::remove_file(dev.join("console")).unwrap();
    }
    fs::create_dir(dev.join("console")).unwrap();
    mount_on_dev_console(File::open(&dev).unwrap(), &slave).unwrap_err();
}

fn it_becomes_the_controlling_terminal_of_its_user() {
    let Console { master, slave } = open_terminal(&private());
    // When its master is closed the terminal hangs up, and this process with it.
    std::mem::forget(master);
    let device = pty::device(&slave).unwrap();
    new_session().unwrap();
    assert!(File::open("/dev/tty").is_err(), "a new session has no terminal");
    // What fails from here on is told where somebody reads it.
    let told = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let adopted = adopt(&slave);
    drop(slave);
    let owned = own_stdio(Uid::new(1000).unwrap());
    let looked = [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()].map(|fd| {
        let stat = nix::sys::stat::fstat(fd).unwrap();
        (pty::device(fd).unwrap(), stat.st_uid, stat.st_gid)
    });
    nix::unistd::dup2_stderr(&told).unwrap();
    adopted.unwrap();
    owned.unwrap();
    // The group is the devpts's own.
    assert_eq!(looked, [(device, 1000, 5); 3]);
    File::open("/dev/tty").unwrap();
}
