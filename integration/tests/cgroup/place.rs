//! Where a container's cgroups are: made, refused when in use, found again, shown.

use std::collections::BTreeSet;
use std::path::Path;

use pinnace::cgroup::Cgroup;
use pinnace::wait::block;

use super::{Process, Scene, killed, resources, sleep};

/// What nobody limited is as wide as the parent's, and a place three levels down gets its parents made.
#[test]
fn without_limits_deep_down() {
    let mut scene = Scene::new();
    let top = scene.path.clone();
    scene.path = format!("{top}/a/b");
    scene.cgroup = Cgroup::place("unused", Some(&scene.path)).unwrap();
    scene.cgroup.create(&resources("{}")).unwrap();
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    assert!(child.cgroups().lines().any(|l| l.ends_with(&scene.path)));
    assert_eq!(scene.read("pids", "pids.max", "pids.max"), "max");
    drop(child);
    block(scene.recorded().remove()).unwrap();
    assert!(scene.is_gone());
    let above = Cgroup::place("unused", Some(&top)).unwrap().paths();
    block(Cgroup::from_paths(&above).unwrap().remove()).unwrap();
    assert!(above.values().all(|p| !Path::new(p).exists()));
}

/// runtime-spec: a path never leads out of the hierarchy.
#[test]
fn no_way_out_of_the_hierarchy() {
    let scene = Scene::new();
    let path = format!("/../../..{}", scene.path);
    let cgroup = Cgroup::place("unused", Some(&path)).unwrap();
    assert_eq!(cgroup.paths(), scene.cgroup.paths());
    assert!(cgroup.paths().values().all(|p| p.starts_with("/sys/fs/cgroup/")));
}

#[test]
fn a_cgroup_in_use_is_refused_and_left_alone() {
    let scene = Scene::made("{}");
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    let second = Cgroup::place("unused", Some(&scene.path)).unwrap();
    for error in [second.refuse_in_use().unwrap_err(), second.create(&resources("{}")).unwrap_err()] {
        assert!(
            error.to_string().contains("container's cgroup is not empty: 1 process(es) found"),
            "{error}"
        );
    }
    // The failed one is cleaned up like any other, and must not take the first with it.
    block(second.signal_all(libc::SIGKILL)).unwrap();
    block(second.remove()).unwrap();
    assert!(second.pids().unwrap().is_empty());
    assert!(child.runs());
    assert!(scene.directories().iter().all(|d| Path::new(d).exists()));
    drop(child);

    block(scene.cgroup.freeze()).unwrap();
    let error = Cgroup::place("unused", Some(&scene.path)).unwrap().create(&resources("{}")).unwrap_err();
    assert!(error.to_string().starts_with("container's cgroup unexpectedly frozen"), "{error}");
    scene.cgroup.thaw().unwrap();
    // Empty and running it may be used again.
    Cgroup::place("unused", Some(&scene.path))
        .unwrap()
        .create(&resources(r#"{"pids": {"limit": 5}}"#))
        .unwrap();
    assert_eq!(scene.read("pids", "pids.max", "pids.max"), "5");
}

#[test]
fn many_at_once_do_not_meet() {
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let scene = Scene::made(r#"{"memory": {"limit": 33554432}, "pids": {"limit": 9}}"#);
                let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
                assert_eq!(scene.cgroup.pids().unwrap(), [child.pid.as_raw()]);
                let recorded = scene.recorded();
                block(recorded.signal_all(libc::SIGKILL)).unwrap();
                assert!(killed(child.end()));
                block(recorded.remove()).unwrap();
                assert!(scene.is_gone());
            });
        }
    });
}

#[test]
fn every_hierarchy_can_be_shown_in_the_container() {
    let scene = Scene::made("{}");
    let views = scene.cgroup.views();
    assert_eq!(views.len(), scene.directories().iter().collect::<BTreeSet<_>>().len());
    for view in views {
        assert!(Path::new(&view.path).join("cgroup.procs").exists(), "{view:?}");
        assert!(view.path.starts_with(&format!("{}/", view.mount)), "{view:?}");
    }
}
