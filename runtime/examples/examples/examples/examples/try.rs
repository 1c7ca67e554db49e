//! scratch
use pinnace::container::*;
fn main() {
    pinnace::launch::seal().unwrap();
    let a: Vec<String> = std::env::args().collect();
    let rt = Runtime { root: "/run/pinnace-try".into(), ..Default::default() };
    let id = id::Id::parse(&a[1]).unwrap();
    let o = CreateOptions { bundle: a[2].clone().into(), ..Default::default() };
    let s = match create(&rt, &id, &o) {
        Ok(s) => s,
        Err(e) => {
            println!("ERR {e}");
            return;
        }
    };
    let c = state::Container::load(&rt, &id).unwrap();
    println!("{:?}", c.status());
    c.start().unwrap_or_else(|e| println!("start: {e}"));
    println!("{:?}", nix::sys::wait::waitpid(s.pid, None));
    c.delete().unwrap_or_else(|e| println!("delete: {e}"));
}
