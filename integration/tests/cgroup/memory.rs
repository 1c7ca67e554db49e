//! Memory that runs out, and who is told.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pinnace::cgroup::Cgroup;
use pinnace::cgroup::Mode;
use pinnace::wait::block;

use super::{Process, Scene, killed};

/// Allocates without an allocator until the kernel stops it.
fn eat_memory() -> i32 {
    const SIZE: usize = 64 << 20;
    // SAFETY: an anonymous private mapping at no address in particular; each write lies inside of it.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        let memory = libc::mmap(std::ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if memory == libc::MAP_FAILED {
            return 1;
        }
        for offset in (0..SIZE).step_by(4096) {
            memory.cast::<u8>().add(offset).write_volatile(1);
        }
    }
    0
}

fn readable(fd: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(5000_u16)).unwrap() == 1
}

#[test]
fn running_out_of_memory_is_told() {
    let scene = Scene::made(r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#);
    let mut watch = scene.cgroup.oom_watch().unwrap();
    assert_eq!(scene.cgroup.oom_kills(), Some(0));
    let child = Process::born(&scene.cgroup.entry().unwrap(), eat_memory);
    assert!(killed(child.end()));
    assert_eq!(scene.cgroup.oom_kills(), Some(1));
    assert!(readable(&watch));
    assert!(watch.take().unwrap().happened);
    assert!(!watch.take().unwrap().happened, "told once");
    block(scene.recorded().remove()).unwrap();
    // In v2 the end came with the last process, most likely before the look above.
    if Cgroup::mode() != Mode::V2 {
        assert!(readable(&watch));
    }
    let last = watch.take().unwrap();
    assert!(!last.happened, "{last:?}");
    assert!(last.gone || Cgroup::mode() == Mode::V2, "{last:?}");
}
