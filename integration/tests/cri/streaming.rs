//! exec with a terminal, attach, and ports: what `kubectl` does with a running pod.

use k8s_cri::v1::{AttachRequest, ExecRequest, PortForwardRequest};

use crate::ENGINE;
use crate::client::Cri;
use crate::stream::{ERROR, RESIZE, STDIN, STDOUT, Stream};

fn words(line: &str) -> Vec<String> {
    ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
}

#[test]
fn exec_streams_input_output_and_the_exit_code() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("exec-stream");
    let id = pod.run("main", "sleep 600");
    let cmd = words("read line; echo got $line; echo wrong >&2; exit 5");
    let request = ExecRequest { container_id: id, cmd, tty: false, stdin: true, stdout: true, stderr: true };
    let url = cri.ask(async |mut client| client.exec(request).await).url;
    let mut stream = Stream::open(&ENGINE, &url);
    stream.send(STDIN, b"a line\n");
    assert_eq!(stream.until(STDOUT, "\n"), "got a line\n");
    let end = stream.rest(ERROR);
    assert!(end.contains(r#""reason":"NonZeroExitCode""#) && end.contains(r#""message":"5""#), "{end}");
}

#[test]
fn exec_with_a_terminal_is_resized() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("exec-terminal");
    let id = pod.run("main", "sleep 600");
    let cmd = words("trap 'exit 3' INT; tty; while :; do stty size; sleep 0.05; done");
    let request = ExecRequest { container_id: id, cmd, tty: true, stdin: true, stdout: true, stderr: false };
    let url = cri.ask(async |mut client| client.exec(request).await).url;
    let mut stream = Stream::open(&ENGINE, &url);
    assert!(stream.until(STDOUT, "/dev/pts/0").contains("/dev/pts/0"));
    stream.send(RESIZE, br#"{"Width":123,"Height":45}"#);
    assert!(stream.until(STDOUT, "45 123").contains("45 123"));
    let control_c = [3];
    stream.send(STDIN, &control_c);
    let end = stream.rest(ERROR);
    assert!(end.contains(r#""message":"3""#), "{end}");
}

#[test]
fn attach_speaks_with_the_main_program() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("attach");
    let id = pod.run_with("main", "while read line; do echo heard $line; done; exit 4", |config| {
        config.stdin = true;
        config.stdin_once = true;
    });
    let request =
        AttachRequest { container_id: id.clone(), stdin: true, tty: false, stdout: true, stderr: true };
    let url = cri.ask(async |mut client| client.attach(request).await).url;
    let mut stream = Stream::open(&ENGINE, &url);
    stream.send(STDIN, b"one\n");
    assert_eq!(stream.until(STDOUT, "\n"), "heard one\n");
    drop(stream);
    assert_eq!(cri.ended(&id).exit_code, 4);
}

#[test]
fn a_port_of_the_pod_is_forwarded() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("forward");
    pod.run("main", "httpd -f -p 127.0.0.1:8090 -h /www");
    let page = integration::host::eventually(integration::host::LIMIT, || {
        let request = PortForwardRequest { pod_sandbox_id: pod.id.clone(), port: vec![8090] };
        let url = cri.ask(async |mut client| client.port_forward(request).await).url;
        let mut stream = Stream::open(&ENGINE, &url);
        stream.send(0, b"GET /index.html HTTP/1.0\r\n\r\n");
        let page = stream.until(0, "a page");
        page.contains("a page").then_some(())
    });
    assert!(page.is_some(), "the page never comes through");
}
