//! Many at once: of one id exactly one wins, whatever else happens meanwhile.

use integration::runtime_bin::Running;
use integration::stand_in_lacks;

use crate::{is_cleaned_up, sleeping};

#[test]
fn of_one_id_one_wins() {
    if stand_in_lacks("runc 1.1.5 lets two win now and then") {
        return;
    }
    let (bundle, runtime) = sleeping();
    let path = bundle.path();
    for round in 0..4 {
        let calls: Vec<_> = (0..24)
            .map(|_| runtime.begin(runtime.command(&["create", "--bundle", &path, bundle.id()])))
            .collect();
        let outcomes: Vec<_> = calls.into_iter().map(Running::finish).collect();
        let winners = outcomes.iter().filter(|outcome| outcome.code == 0).count();
        assert_eq!(winners, 1, "round {round}");
        assert_eq!(runtime.status(bundle.id()), "created");
        for loser in outcomes.into_iter().filter(|outcome| outcome.code != 0) {
            loser.fails(1, &["container with given ID already exists"]);
        }
        runtime.call(&["start", bundle.id()]).ok();
        is_cleaned_up(&bundle, &runtime, &format!("round {round}"));
    }
}

/// Of several starts one starts it, and its program runs once.
#[test]
fn of_several_starts_one_starts() {
    let (bundle, runtime) = sleeping();
    runtime.create(&bundle);
    let calls: Vec<_> = (0..8).map(|_| runtime.begin(runtime.command(&["start", bundle.id()]))).collect();
    let started = calls.into_iter().map(Running::finish).filter(|outcome| outcome.code == 0).count();
    assert_eq!(started, 1);
    assert_eq!(runtime.status(bundle.id()), "running");
}

/// Several that delete: none hangs, and the forced ones succeed.
#[test]
fn several_deletes_at_once() {
    if stand_in_lacks("runc 1.1.5 complains of what another one has removed") {
        return;
    }
    let (bundle, runtime) = sleeping();
    for round in 0..4 {
        runtime.start(&bundle);
        let calls: Vec<_> =
            (0..8).map(|_| runtime.begin(runtime.command(&["delete", "--force", bundle.id()]))).collect();
        for call in calls {
            call.finish().ok();
        }
        is_cleaned_up(&bundle, &runtime, &format!("round {round}"));
    }
}

/// A delete in the middle of a create: whoever is later, nothing is left of what was deleted.
#[test]
fn a_delete_races_with_a_create() {
    if stand_in_lacks("runc 1.1.5 leaves cgroups") {
        return;
    }
    let (bundle, runtime) = sleeping();
    let path = bundle.path();
    for round in 0..20 {
        let create = runtime.begin(runtime.command(&["create", "--bundle", &path, bundle.id()]));
        std::thread::sleep(std::time::Duration::from_micros(300) * round);
        runtime.call(&["delete", "--force", bundle.id()]);
        create.finish();
        is_cleaned_up(&bundle, &runtime, &format!("round {round}"));
    }
}
