//! Docker in docker: a dockerd in a privileged container that has this runtime too.

use integration::skip;

use crate::DOCKER;

/// The programs are the host's; what the inner dockerd keeps goes with the container.
#[test]
fn a_daemon_in_a_container_runs_containers() {
    if integration::host::cgroup_mount("").is_none_or(|mount| mount != std::path::Path::new("/sys/fs/cgroup"))
    {
        return skip("this host has cgroup v1, where a container does not get cgroups of its own");
    }
    let name = DOCKER.named("nested");
    // Whoever stays in the container's first cgroup keeps it from handing controllers on.
    let script = "mkdir /sys/fs/cgroup/own && echo 0 > /sys/fs/cgroup/own/cgroup.procs && cp /image.tar /tmp && \
        export DOCKER_HOST=unix:///tmp/sock && \
        { dockerd --data-root /tmp/data --exec-root /tmp/exec --pidfile /tmp/pid --storage-driver vfs --bridge none \
          --iptables=false --ip6tables=false --exec-opt native.cgroupdriver=cgroupfs \
          --add-runtime pinnace=/pinnace --default-runtime pinnace >/tmp/log 2>&1 & } && \
        for turn in $(seq 300); do docker version >/dev/null 2>&1 && break; sleep 0.2; done && \
        docker import /tmp/image.tar inner >/dev/null && \
        docker run --rm --net none --memory 64m inner cat /sys/fs/cgroup/memory.max || cat /tmp/log";
    DOCKER.prints(
        &format!(
            "docker run --rm --name {name} --privileged --cgroupns private -v /usr:/usr:ro -v /usr/lib:/lib:ro \
             -v /usr/lib64:/lib64:ro -v $PINNACE:/pinnace:ro -v $ROOM/image.tar:/image.tar:ro --tmpfs /tmp:exec \
             -e PATH=/usr/sbin:/usr/bin:/sbin:/bin busybox sh -c '{script}'"
        ),
        &(64 << 20).to_string(),
    );
}
