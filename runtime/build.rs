//! How the command is linked. It must never change what is compiled.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "musl") {
        // Relative relocations in a hundredth of their size (DT_RELR; musl since 1.2.4). A linker that does not know of
        // it says so and links as before.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
