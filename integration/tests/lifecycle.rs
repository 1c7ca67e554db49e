//! The verbs in their order, and what each says. What the container is like inside is asked elsewhere.

use integration::Bundle;

#[test]
fn run_passes_the_exit_code() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for code in [0, 1, 7, 127, 255] {
        bundle.probe(&["exit", &code.to_string()]);
        assert_eq!(runtime.run(&bundle).code, code);
    }
}
