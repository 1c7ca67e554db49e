//! Many processes, early ends, and output that is not fetched.

use crate::{CTR, IMAGE, RUN, asleep, shim_of};

#[test]
fn a_hundred_execs_leave_the_shim_as_it_was() {
    let name = asleep("storm", "");
    let shim = CTR.output(&shim_of("storm"));
    let one = format!("ctr task exec --exec-id warm {name} true; ls /proc/{shim}/fd | wc -l");
    let before = CTR.output(&one);
    let storm = format!(
        "for i in $(seq 25); do for j in 1 2 3 4; do \
         ( ctr task exec --exec-id e$i-$j {name} sh -c \"exit $j\"; echo $? ) & done; wait; done | sort | uniq -c"
    );
    let said = CTR.output(&storm);
    let counts: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(counts, [["25", "1"], ["25", "2"], ["25", "3"], ["25", "4"]]);
    CTR.comes_to(&format!("ls /proc/{shim}/fd | wc -l"), &before);
    CTR.prints(&format!("grep '^Threads' /proc/{shim}/status"), "Threads:\t1");
}

#[test]
fn all_output_arrives_and_nothing_stands_in_a_reader_s_way() {
    CTR.prints(
        &format!("{RUN} --rm {IMAGE} much sh -c 'dd if=/dev/zero bs=1M count=20' 2>/dev/null | wc -c"),
        "20971520",
    );
}

#[test]
fn a_container_whose_output_nobody_reads_can_be_deleted() {
    let name = CTR.named("unread");
    CTR.output(&format!("timeout 60 {RUN} -d {IMAGE} {name} sh -c 'seq 1000000; sleep 600' >/dev/null"));
    CTR.output(&format!("ctr task kill -s KILL {name}"));
    CTR.comes_to(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3"), "STOPPED");
    CTR.output(&format!("timeout 8 ctr task rm {name} >/dev/null"));
}

#[test]
fn real_time_signals_and_wrong_ones() {
    let name = asleep("signals", "");
    CTR.output(&format!("ctr task exec -d --exec-id one {name} sleep 600"));
    CTR.output(&format!("ctr task kill -s 37 --exec-id one {name}"));
    // The shim is still there, and so is the container.
    CTR.prints(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3"), "RUNNING");
    assert_ne!(CTR.sh(&format!("ctr task kill --exec-id none {name}")).code, 0);
}

#[test]
fn metrics_stay_until_the_deletion() {
    let name = asleep("metrics-after", "");
    CTR.output(&format!("ctr task kill -s KILL {name}"));
    CTR.comes_to(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3"), "STOPPED");
    assert!(CTR.output(&format!("ctr task metrics {name}")).contains("pids.current"));
}
