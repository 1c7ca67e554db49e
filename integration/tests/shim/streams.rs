//! Where a process's output goes when it is not a client's FIFO, and what happens when nobody reads one.

use crate::{CTR, IMAGE, RUN, asleep};

/// A log program that keeps both outputs and its surroundings in a directory; `ready` is how it says that it is ready.
fn recorder(name: &str, ready: &str) -> String {
    let body = "[ $1 = dir ] || exit 9; exec >/dev/null 2>&1
        cat <&3 >$2/out 5>&- & cat <&4 >$2/err 5>&- & echo $CONTAINER_ID >$2/id
        READY
        exec 3<&- 4<&- 5>&-; wait; echo >$2/done";
    CTR.script(name, &body.replace("READY", ready));
    let path = CTR.room().path(&format!("bin/{name}"));
    CTR.output(&format!("mkdir -p $ROOM/{name}-dir"));
    format!("{path}?dir={}", CTR.room().path(&format!("{name}-dir")))
}

#[test]
fn a_log_program_gets_both_outputs() {
    for (scheme, ready) in [("binary", ""), ("binary-v2", "printf x >&5")] {
        let name = format!("logged-{scheme}");
        let _guard = CTR.named(&name);
        let uri = recorder(&name, ready);
        let script = "for i in $(seq 20000); do echo $i; done; echo err >&2; exit 4";
        let line = format!("{RUN} -d --log-uri '{scheme}://{uri}' {IMAGE} {name} sh -c '{script}'");
        CTR.output(&line);
        CTR.comes_to(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3"), "STOPPED");
        // What it has recorded is there when the deletion is done.
        CTR.sh(&format!("ctr task rm {name}"));
        let see = format!("cd $ROOM/{name}-dir; tail -n 1 out; wc -l <out; cat err id; ls done");
        CTR.prints(&see, &format!("20000\n20000\nerr\n{name}\ndone"));
    }
}

#[test]
fn a_log_program_that_is_never_ready_fails_the_create() {
    for (name, script, word) in
        [("gives-up", "exit 3", "it gave up"), ("is-missing", "", "no such file or directory")]
    {
        let _guard = CTR.named(name);
        let path = CTR.room().path(&format!("bin/{name}"));
        if !script.is_empty() {
            CTR.script(name, script);
        }
        let said = CTR.sh(&format!("{RUN} -d --log-uri binary-v2://{path} {IMAGE} {name} true"));
        assert!(said.code != 0 && said.stderr.contains(word), "{said}");
        CTR.comes_to(
            &format!("ls /run/containerd/pinnace{} | grep -x {name} || true", CTR.room().cgroup()),
            "",
        );
    }
}

#[test]
fn a_file_takes_both_outputs_in_order() {
    let _guard = CTR.named("to-file");
    let file = format!("file://{}", CTR.room().path("deep/er/log"));
    let script = "echo one; echo two >&2; sleep 0.2; echo three";
    CTR.output(&format!("{RUN} -d --log-uri {file} {IMAGE} to-file sh -c '{script}'"));
    CTR.comes_to("ctr task ls | grep '^to-file ' | tr -s ' ' | cut -d' ' -f3", "STOPPED");
    CTR.sh("ctr task rm to-file");
    CTR.prints("sort $ROOM/deep/er/log; stat -c %a $ROOM/deep/er/log", "one\nthree\ntwo\n644");
}

#[test]
fn a_process_without_streams_has_none() {
    let name = asleep("no-streams", "--null-io");
    let pid = CTR.output(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f2"));
    CTR.prints(&format!("cd /proc/{pid}/fd && readlink 0 1 2 | sort -u"), "/dev/null");
}

#[test]
fn a_reader_that_dies_and_comes_back_under_load_loses_nothing_of_a_pipe() {
    let _guard = CTR.named("reader");
    // What fits into the FIFO and the process's own pipe waits for the next reader.
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); sleep 0.001; done; sleep 600";
    CTR.output(&format!(
        "mkfifo $ROOM/reader.fifo; cat $ROOM/reader.fifo >$ROOM/reader.1 & echo $! >$ROOM/reader.pid; \
        {RUN} -d --log-uri fifo://$ROOM/reader.fifo {IMAGE} reader sh -c '{script}' || true"
    ));
    if CTR.sh("ctr task ls -q | grep -x reader").code != 0 {
        return integration::skip("this ctr hands no fifo:// on");
    }
    CTR.comes_to("grep -c '^line 1.*' $ROOM/reader.1 | grep -c ...", "1");
    CTR.output("kill -9 $(cat $ROOM/reader.pid)");
    CTR.comes_to("ctr task exec --exec-id one reader sh -c 'echo alive'", "alive");
    let last = "(timeout 60 cat $ROOM/reader.fifo >$ROOM/reader.2 & echo $! >$ROOM/reader.pid)";
    CTR.output(last);
    CTR.comes_to("grep -x 'line 1999' $ROOM/reader.2", "line 1999");
    CTR.output("kill $(cat $ROOM/reader.pid)");
    // The dead reader may have taken a last piece with it; all others are there, in order.
    CTR.prints("cat $ROOM/reader.1 $ROOM/reader.2 | grep '^line' | sort -n -k2 -c && echo sorted", "sorted");
}
